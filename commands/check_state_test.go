//go:build unix

package commands_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each rule about a formation as a whole: found on the plain check, and on HEAD
// for --base where git has what it speaks of.
func TestCheckState(t *testing.T) {
	sideBySide(t)
	for _, tt := range sample([]struct {
		name     string
		make     func(r *repo)
		want     []string
		base     []string // nil: as want
		code     int
		baseCode int // with --base, where that is more
	}{
		{name: "in order", make: func(r *repo) {}},
		{name: "missing-secret", make: func(r *repo) {
			r.refer("agent/formation.afs", "MISSING", "MISSING")
			r.at("agent").mustMuxi("sync")
		}, want: []string{"missing-secret agent/formation.afs:9:10 MISSING"}, code: 1},
		{name: "optional: not missing", make: func(r *repo) {
			r.write("agent/formation.afs", r.read("agent/formation.afs")+"x: \"${{ secrets.MISSING || '' }}\"\n")
			r.at("agent").mustMuxi("sync")
		}},
		{name: "missing-secret needs the key", make: func(r *repo) {
			r.refer("agent/formation.afs", "MISSING")
			r.at("agent").mustMuxi("sync")
			r.remove("agent/.key")
			r.remove(".git/muxi-secrets/keys")
		}},
		{name: "unused-secret", make: func(r *repo) {
			r.at("agent").run("a-value-of-its-own", "git-muxi-secrets", "add", "UNUSED", "--stdin")
		}, want: []string{"unused-secret agent/secrets.enc:1:1 UNUSED"}},
		{name: "shared-key", make: func(r *repo) {
			r.formation("other")
			must(r, os.Remove(r.path("other/secrets.enc")))
			must(r, os.Remove(r.path("other/.key")))
			must(r, os.WriteFile(r.path("other/.key"), []byte(r.read("agent/.key")), 0o600))
		}, want: []string{"shared-key other/.key:1:1"}, code: 1},
		{name: "shared-value", make: func(r *repo) { r.formation("other", "TOKEN=hunter2-hunter2") },
			want: []string{"shared-value other/secrets.enc:1:1 TOKEN"}},
		{name: "one vault, by links", make: func(r *repo) {
			// What sorts first has the links: neither counts beside the other.
			must(r, os.Rename(r.path("agent"), r.path("shared")))
			r.git("add", "-A")
			r.git("commit", "-q", "--no-verify", "-m", "moved")
			r.write("agent/formation.afs", r.read("shared/formation.afs"))
			r.write("agent/.gitignore", r.read("shared/.gitignore"))
			r.write("agent/.gitattributes", r.read("shared/.gitattributes"))
			for _, name := range []string{".key", "secrets", "secrets.enc"} {
				must(r, os.Symlink("../shared/"+name, r.path("agent/"+name)))
			}
		}},
		{name: "one value, two names", make: func(r *repo) { r.formation("other", "ANOTHER=hunter2-hunter2") }},
		{name: "key-not-ignored", make: func(r *repo) { r.remove("agent/.gitignore"); r.remove(".git/info/exclude") },
			want: []string{"key-not-ignored agent/.key:1:1"}, base: []string{"git-files agent/.gitignore:1:1", "key-not-ignored agent/.key:1:1"}, code: 1},
		{name: "key-not-ignored, but in this clone", make: func(r *repo) { r.remove("agent/.gitignore") },
			want: []string{"key-not-ignored agent/.key:1:1"}, base: []string{"git-files agent/.gitignore:1:1", "key-not-ignored agent/.key:1:1"}, code: 1},
		{name: "no key to ignore", make: func(r *repo) { r.remove("agent/.gitignore"); r.remove("agent/.key") }, base: []string{"git-files agent/.gitignore:1:1"}, baseCode: 1},
		{name: "key-permissions", make: func(r *repo) { must(r, os.Chmod(r.path("agent/.key"), 0o640)) },
			want: []string{"key-permissions agent/.key:1:1"}},
		{name: "template-stale, a name more", make: func(r *repo) { r.write("agent/secrets", "OTHER=\nTOKEN=\n") },
			want: []string{"template-stale agent/secrets:1:1"}, code: 1},
		{name: "template-stale, a name less", make: func(r *repo) { r.write("agent/secrets", "\n") },
			want: []string{"template-stale agent/secrets:1:1"}, code: 1},
		{name: "template-stale, none", make: func(r *repo) { r.remove("agent/secrets") },
			want: []string{"template-stale agent/secrets:1:1"}, code: 1},
		{name: "template with comments", make: func(r *repo) { r.write("agent/secrets", "# from the vault\nTOKEN=ghp_...\n") }},
		{name: "template-value", make: func(r *repo) { r.write("agent/secrets", "TOKEN=a-real-value-here\n") },
			want: []string{"template-value agent/secrets:1:7 TOKEN"}, code: 1},
		{name: "vault-not-encrypted", make: func(r *repo) { r.write("agent/secrets.enc", "{\"TOKEN\": \"x\"}") },
			want: []string{"vault-not-encrypted agent/secrets.enc:1:1"}, code: 1},
		{name: "malformed-reference", make: func(r *repo) {
			r.write("agent/formation.afs", r.read("agent/formation.afs")+"x: ${{ secret.TOKEN }}\n")
		}, want: []string{"malformed-reference agent/formation.afs:8:4"}},
		{name: "a formation that was never set up", make: func(r *repo) {
			must(r, os.CopyFS(r.path("example"), os.DirFS(filepath.Join("..", "testdata", "formations", teamExample))))
		}},
		{name: "a formation that git ignores", make: func(r *repo) {
			r.write(".gitignore", "scratch/\n")
			r.write("scratch/formation.afs", "x: ${{ secrets.NOWHERE }}\n")
			must(r, os.WriteFile(r.path("scratch/.key"), []byte(r.read("agent/.key")), 0o600))
		}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.write("README", "x\n")
			r.git("add", "-A")
			r.save("start")
			r.formation("agent", "TOKEN=hunter2-hunter2")
			tt.make(r)
			c := r.finds(tt.code, tt.want)
			if tt.code == 0 && len(tt.want) > 0 {
				r.finds(1, tt.want, "--strict")
			}
			for _, f := range c.Findings {
				if !strings.HasPrefix(f.Fingerprint, "") || len(f.Fingerprint) != 32 || f.Commit != "" {
					t.Errorf("%+v", f)
				}
			}
			if tt.base == nil {
				tt.base = tt.want
			}
			r.git("add", "-A")
			r.git("rm", "-q", "--cached", "--ignore-unmatch", "agent/.key", "other/.key", "scratch/.key")
			r.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "all")
			r.finds(max(tt.code, tt.baseCode), tt.base, "--base", "HEAD~1")
		})
	}
}

// With a key that does not open its vault, the check says so and goes on.
func TestCheckWithWrongKey(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "TOKEN=hunter2-hunter2")
	r.formation("other", "OTHER=another-value-2")
	must(t, os.Remove(r.path("agent/.key")))
	r.remove(".git/muxi-secrets/keys")
	must(t, os.WriteFile(r.path("agent/.key"), []byte(base64.URLEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))), 0o600))
	r.write("notes.txt", "another-value-2\n")
	c, res := r.check()
	if got := c.places(); res.code != 1 || !slices.Equal(got, []string{"known-secret notes.txt:1:1 OTHER"}) {
		t.Errorf("exit %d, %q", res.code, got)
	}
	if !strings.Contains(res.err, "warning: ") || !strings.Contains(res.err, "agent") {
		t.Errorf("nothing is said about the key:\n%s", res.err)
	}
}

// A value that is stored is found wherever it went, and nothing else is.
func TestStoredValueIsStopped(t *testing.T) {
	sideBySide(t)
	const value = "p4ss phrase/with+signs"
	for _, tt := range sample([]struct{ name, path, content, place string }{
		{"README", "README.md", "# Setup\n\nUse `" + value + "` as the token.\n", "README.md:3:6"},
		{"Python", "src/client.py", "import x\nx.run(token='" + value + "')\n", "src/client.py:2:14"},
		{"notebook", "n.ipynb", "{\"cells\": [{\"source\": [\"t = \\\"" + value + "\\\"\\n\"]}]}\n", "n.ipynb:1:31"},
		{"Kubernetes", "k8s/secret.yaml", "kind: Secret\ndata:\n  token: " + base64.StdEncoding.EncodeToString([]byte(value)) + "\n", "k8s/secret.yaml:3:10"},
		{"base64 inside", "h.txt", base64.StdEncoding.EncodeToString([]byte("user:" + value + ":x")), "h.txt:1:"},
		{"UTF-16", "w.txt", "\xff\xfe" + strings.Join(strings.Split("a "+value, ""), "\x00") + "\x00", "w.txt:1:3"},
		{"binary", "b.bin", "\x00\x01\x02" + value + "\x00", "b.bin:1:4"},
		{"another formation", "other/formation.afs", "id: o\nx: " + value + "\n", "other/formation.afs:2:4"},
		{"name with spaces", "a b/c d.txt", value, "a b/c d.txt:1:1"},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.formation("agent", "TOKEN="+value)
			r.mustMuxi("hooks", "install")
			r.stage(tt.path, tt.content)
			res := r.try("commit", "-qm", "x")
			if res.code == 0 || !strings.Contains(res.err, tt.place) || !strings.Contains(res.err, "the value of TOKEN of agent") {
				t.Errorf("commit: exit %d, not %s:\n%s", res.code, tt.place, res.err)
			}
			if strings.Contains(res.err, value) || strings.Contains(res.err, base64.StdEncoding.EncodeToString([]byte(value))[:8]) {
				t.Error("the message holds the value")
			}
			r.save("leaky")
			for _, scope := range [][]string{nil, {"--base", "HEAD~1"}, {"--history"}} {
				if c, res := r.check(scope...); res.code != 1 || !slices.ContainsFunc(c.Findings, func(f checkedFinding) bool {
					return f.Rule == "known-secret" && f.Secret == "TOKEN" && f.Path == tt.path
				}) {
					t.Errorf("check %v: exit %d\n%s", scope, res.code, res.out)
				}
			}
		})
	}
	t.Run("message", func(t *testing.T) {
		r := newRepo(t)
		r.formation("agent", "TOKEN="+value)
		r.mustMuxi("hooks", "install")
		for _, message := range []string{"subject " + value, "subject\n\nbody\n\n" + value + "\n"} {
			r.stage("a.txt", message[:7])
			res := r.try("commit", "-q", "-m", message)
			if res.code == 0 || !strings.Contains(res.err, "commit message:") || !strings.Contains(res.err, "TOKEN") || strings.Contains(res.err, value) {
				t.Errorf("exit %d\n%s", res.code, res.err)
			}
		}
		// What git takes out of a message is none of it.
		r.env = []string{"GIT_EDITOR=f() { printf 'subject\\n# " + value + "\\n# ------------------------ >8 ------------------------\\n" + value + "\\n' >\"$1\"; }; f"}
		r.git("commit", "-q", "--verbose", "-a")
		if got := r.git("log", "-1", "--format=%B"); strings.Contains(got, value) {
			t.Errorf("it is in the message after all")
		}
		r.git("config", "core.commentChar", ";")
		r.stage("a.txt", "again")
		r.env = []string{"GIT_EDITOR=f() { printf 'subject\\n# " + value + "\\n' >\"$1\"; }; f"}
		if res := r.try("commit", "-q"); res.code == 0 {
			t.Error("a line that git keeps was left out")
		}
		r.env = nil
		// With -m nothing is left out, even what looks like a comment.
		r.git("config", "--unset", "core.commentChar")
		if res := r.try("commit", "-q", "-m", "subject", "-m", "# "+value); res.code == 0 {
			t.Error("a line like a comment, given with -m, is committed")
		}
		r.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "subject "+value)
		c := r.finds(1, []string{"known-secret :1:9 TOKEN"}, "--base", "HEAD~1")
		if len(c.Findings) == 1 && (c.Findings[0].Path != "" || c.Findings[0].Commit != r.head()) {
			t.Errorf("%+v", c.Findings[0])
		}
	})
}
