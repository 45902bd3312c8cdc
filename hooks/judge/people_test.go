package judge

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// team is a repository whose lists of people change, on main and on a branch that
// left it.
type team struct {
	*gittest.Repo
	list *formation.People
	key  *crypto.Key
}

func newTeam(t *testing.T) *team {
	t.Helper()
	team := &team{Repo: gittest.New(t), key: newKey(t)}
	team.list, _ = formation.ParsePeople(nil)
	team.join("Ann")
	team.list.Sign(team.key)
	team.save("bot", "base")
	team.Git("checkout", "-q", "-b", "change")
	return team
}

func newKey(t testing.TB) *crypto.Key {
	t.Helper()
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (m *team) join(name string) string {
	m.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		m.Fatal(err)
	}
	r, err := crypto.ParseRecipient(id.Recipient().String())
	if err != nil {
		m.Fatal(err)
	}
	m.list.Add(name, r)
	return r.String()
}

// save writes the list and a wrapped key beside it, and commits.
func (m *team) save(dir, message string) {
	m.Helper()
	m.Write(dir+"/formation.afs", "id: bot\n")
	m.Write(dir+"/"+formation.RecipientsFile, string(m.list.Encode()))
	m.Write(dir+"/"+formation.WrappedKeyFile, message)
	m.Commit(message)
	m.list, _ = formation.ParsePeople(m.list.Encode())
}

func (m *team) rotate() {
	m.Helper()
	next := newKey(m)
	m.list.SignSuccessor(m.key, next)
	m.key = next
}

// on does something on another branch, from where that is.
func (m *team) on(branch string, do func()) {
	m.Helper()
	m.Git("checkout", "-q", branch)
	list, key := m.list, m.key
	m.list, _ = formation.ParsePeople([]byte(m.Read("bot/" + formation.RecipientsFile)))
	do()
	m.list, m.key = list, key
	m.Git("checkout", "-q", "change")
}

// findings lists what check --base main would find, through each backend.
func (m *team) findings(t *testing.T) string {
	t.Helper()
	said := ""
	for _, backend := range []string{"git", "go-git"} {
		repo, err := gitutil.Open(m.Dir, gitutil.Options{Getenv: m.Getenv, Environ: m.Env, Backend: backend})
		if err != nil {
			t.Fatal(err)
		}
		defer repo.Close()
		fork, _, err := repo.MergeBase(context.Background(), "main", "HEAD")
		if err != nil {
			t.Fatal(err)
		}
		found, err := (&Judge{Repo: repo}).Sharing(context.Background(), "main", fork, "HEAD")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range found {
			lines = append(lines, fmt.Sprintf("%s %s: %s", f.Rule, f.Path, f.Message))
		}
		if now := strings.Join(lines, "\n"); backend == "git" {
			said = now
		} else if now != said {
			t.Errorf("go-git says\n%s\ngit\n%s", now, said)
		}
	}
	return said
}

// Nobody has a key here: all is known from the lists.
func TestSharing(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*team)
		want []string // parts of the lines, each
	}{
		{"nothing", func(m *team) {}, nil},
		{"somebody added where the formation file went", func(m *team) {
			m.join("Eve")
			m.save("bot", "add")
			m.Git("rm", "-q", "bot/formation.afs")
			m.Commit("tidy")
		}, []string{"unvouched-people bot/.age-recipients: the list was changed since it was signed", "people-changed bot/.age-recipients: Eve (age1"}},
		{"a formation that goes", func(m *team) {
			m.Git("rm", "-rq", "bot")
			m.Commit("tidy")
		}, nil},
		{"somebody added", func(m *team) {
			m.join("Bob")
			m.list.Sign(m.key)
			m.save("bot", "add")
		}, []string{"people-changed bot/.age-recipients: Bob (age1"}},
		{"somebody removed", func(m *team) {
			m.list.Remove(m.list.All()[0].Recipient)
			m.rotate()
			m.save("bot", "remove")
		}, []string{"people-changed bot/.age-recipients: Ann (age1"}},
		{"a rotation", func(m *team) {
			m.rotate()
			m.save("bot", "rotate")
		}, nil},
		{"a rotation, then main rotates on", func(m *team) {
			m.rotate()
			m.save("bot", "rotate")
			m.on("main", func() {
				m.Git("merge", "-q", "change")
				m.list, _ = formation.ParsePeople([]byte(m.Read("bot/" + formation.RecipientsFile)))
				m.rotate()
				m.save("bot", "again")
			})
		}, nil},
		{"main was rotated", func(m *team) {
			m.Write("other", "x")
			m.Commit("work")
			m.on("main", func() {
				m.rotate()
				m.save("bot", "rotate")
			})
		}, nil},
		{"a stranger's key", func(m *team) {
			m.list.Sign(newKey(m))
			m.save("bot", "docs: tidy")
		}, []string{"unvouched-key bot/.age-recipients: the list is signed by the key "}},
		{"a list made anew", func(m *team) {
			m.list, _ = formation.ParsePeople(nil)
			m.join("Eve")
			m.save("bot", "docs: tidy")
		}, []string{"unvouched-people bot/.age-recipients: the list has no signature; that of bot in main is signed by the key ", "people-changed bot/.age-recipients: Eve ("}},
		{"a list by hand", func(m *team) {
			m.join("Eve")
			m.save("bot", "docs: tidy")
		}, []string{"unvouched-people bot/.age-recipients: the list was changed since it was signed", "people-changed bot/.age-recipients: Eve ("}},
		{"a list that does not read", func(m *team) {
			m.Write("bot/"+formation.RecipientsFile, m.Read("bot/"+formation.RecipientsFile)+"# muxi-secrets key x\n")
			m.Commit("docs: tidy")
		}, []string{"unvouched-people bot/.age-recipients: the signature of the list does not read: line "}},
		{"a list deleted", func(m *team) {
			m.Remove("bot/" + formation.RecipientsFile)
			m.Commit("docs: tidy")
		}, []string{"unvouched-people bot/.age-recipients: the list is gone", "people-changed bot/.age-recipients: Ann ("}},
		{"a list deleted in main, and made anew", func(m *team) {
			m.on("main", func() {
				m.Remove("bot/" + formation.RecipientsFile)
				m.Commit("docs: tidy")
			})
			m.Git("merge", "-q", "main")
			m.list, _ = formation.ParsePeople(nil)
			m.join("Eve")
			m.list.Sign(newKey(m))
			m.save("bot", "docs: tidy up")
		}, []string{"unvouched-key bot/.age-recipients: ", "people-changed bot/.age-recipients: Eve ("}},
		{"a formation deleted in main, and made anew", func(m *team) {
			m.on("main", func() {
				m.Git("rm", "-rq", "bot")
				m.Commit("tidy")
			})
			m.Git("merge", "-q", "main")
			m.list, _ = formation.ParsePeople(nil)
			m.join("Eve")
			m.list.Sign(newKey(m))
			m.save("bot", "docs: tidy up")
		}, []string{"unvouched-key bot/.age-recipients: ", "people-changed bot/.age-recipients: Eve ("}},
		{"a formation deleted in main, and made anew without a list", func(m *team) {
			m.on("main", func() {
				m.Git("rm", "-rq", "bot")
				m.Commit("tidy")
			})
			m.Git("merge", "-q", "main")
			m.Write("bot/formation.afs", "id: bot\n")
			m.Commit("docs: tidy up")
		}, []string{"unvouched-people bot/.age-recipients: the list is gone"}},
		{"a formation deleted in main, and brought back", func(m *team) {
			m.on("main", func() {
				m.Git("rm", "-rq", "bot")
				m.Commit("tidy")
			})
			m.Git("merge", "-q", "main")
			m.rotate()
			m.save("bot", "back")
		}, []string{"people-changed bot/.age-recipients: Ann ("}},
		{"a removed person's branch from before", func(m *team) {
			m.join("Eve")
			m.list.Sign(m.key)
			m.save("bot", "docs: tidy")
			m.on("main", func() {
				m.rotate()
				m.save("bot", "rotate")
			})
		}, []string{"unvouched-key bot/.age-recipients: the list is signed by the key ", "people-changed bot/.age-recipients: Eve ("}},
		{"a renamed folder", func(m *team) {
			m.Git("mv", "bot", "agent")
			m.Commit("renamed")
			m.rotate()
			m.save("agent", "rotate")
		}, nil},
		{"a renamed folder, its key swapped", func(m *team) {
			m.Git("mv", "bot", "agent")
			m.list.Sign(newKey(m))
			m.save("agent", "renamed")
		}, []string{"unvouched-key agent/.age-recipients: ", ", for which that of bot in main ("}},
		{"a copied folder", func(m *team) {
			m.rotate()
			m.save("copy", "copied")
		}, []string{"people-changed copy/.age-recipients: Ann ("}},
		{"a deleted formation", func(m *team) {
			m.Remove("bot/formation.afs")
			m.Remove("bot/" + formation.RecipientsFile)
			m.Remove("bot/" + formation.WrappedKeyFile)
			m.Commit("gone")
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newTeam(t)
			tc.do(m)
			got := m.findings(t)
			if (got == "") != (len(tc.want) == 0) {
				t.Fatalf("got\n%s\nwant %q", got, tc.want)
			}
			for _, part := range tc.want {
				if !strings.Contains(got, part) {
					t.Errorf("got\n%s\nwant a line with %q", got, part)
				}
			}
			for _, rule := range []string{"unvouched-key", "unvouched-people", "people-changed"} {
				if has, want := strings.Contains(got, rule), strings.Contains(strings.Join(tc.want, "\n"), rule); has != want {
					t.Errorf("%s is said: %v, want %v\n%s", rule, has, want, got)
				}
			}
		})
	}
}

// Nobody ever signed anything: that is quiet, but for who comes.
func TestSharingNeverSigned(t *testing.T) {
	m := &team{Repo: gittest.New(t), key: newKey(t)}
	m.list, _ = formation.ParsePeople(nil)
	m.join("Ann")
	m.save("bot", "base")
	m.Git("checkout", "-q", "-b", "change")
	m.Write("bot/"+formation.WrappedKeyFile, "wrapped again")
	m.Commit("wrapped")
	if got := m.findings(t); got != "" {
		t.Errorf("got\n%s", got)
	}
	m.list.Sign(m.key)
	m.save("bot", "signed")
	if got := m.findings(t); got != "people-changed bot/.age-recipients: signed for the first time, by the key "+m.key.Fingerprint() {
		t.Errorf("got\n%s", got)
	}
}
