package gitutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

func TestConfig(t *testing.T) {
	r := newRepo(t)
	r.write("../gitconfig", "[include]\n\tpath = more\n[Muxi-Secrets]\n\tmaxAge = 1d\n")
	r.write("../more", "[from \"Sub.Section\"]\n\tInclude = \"quoted # value\" ; comment\n")
	r.git("config", "--add", "multi.key", "one")
	r.git("config", "--add", "multi.key", "two\n lines\t\\ \"q\" ; #")
	r.write(".git/config", mustRead(t, r.path(".git/config"))+"[bare] key\n[cont]\n a = x \\\n  y\n")
	for key, want := range map[string]string{
		"muxi-secrets.maxage":      "1d true",
		"Muxi-Secrets.maxAge":      "1d true",
		"from.Sub.Section.include": "quoted # value true",
		"from.sub.section.include": " false",
		"multi.key":                "two\n lines\t\\ \"q\" ; # true",
		"bare.key":                 " true",
		"cont.a":                   "x   y true",
		"no.such":                  " false",
	} {
		r.both(false, want, func(repo Repository) (string, error) {
			value, ok, err := repo.Config(context.Background(), key)
			return fmt.Sprint(value, " ", ok), err
		})
	}
}

func TestSetConfig(t *testing.T) {
	values := []string{"plain", "git-muxi-secrets merge-vault %O %A %B %L %P", "with # and ; and \"quotes\"", " spaces ", "back\\slash\nline\ttab", "", "-x", "\u00e9"}
	r := newRepo(t)
	r.git("config", "--add", "merge.our-driver.driver", "old")
	r.git("config", "--add", "merge.our-driver.driver", "older")
	r.git("config", "merge.our-driver.name", "kept")
	r.git("config", "z.last", "1")
	for _, key := range []string{"merge.our-driver.driver", "diff.New \"Sub\\.driver", "core.hooksPath", "fresh.key"} {
		for _, value := range values {
			repo := r.openWriter()
			if err := repo.SetConfig(context.Background(), key, value); err != nil {
				t.Errorf("%s = %q: %v", key, value, err)
			}
			if got := r.git("config", "--local", "--get-all", key); got != value {
				t.Errorf("%s is %q, want %q", key, got, value)
			}
			got, ok, err := repo.Config(context.Background(), key)
			if got != value || !ok || err != nil {
				t.Errorf("Config gives %q, %v, %v", got, ok, err)
			}
		}
	}
	if r.git("config", "merge.our-driver.name") != "kept" || r.git("config", "z.last") != "1" {
		t.Errorf("other settings are gone:\n%s", mustRead(t, r.path(".git/config")))
	}
}

func TestHooksDir(t *testing.T) {
	tests := []struct {
		name  string
		setup func(r *testRepo) *testRepo
		want  string // with REPO and HOME in place of the folders
	}{
		{"default", func(r *testRepo) *testRepo { return r }, "REPO/.git/hooks false "},
		{"from a subfolder", func(r *testRepo) *testRepo { r.write("a/b", ""); return r.at("a") }, "REPO/.git/hooks false "},
		{"own folder", func(r *testRepo) *testRepo { r.git("config", "core.hooksPath", ".husky/_"); return r }, "REPO/.husky/_ false local"},
		{"outside", func(r *testRepo) *testRepo { r.git("config", "core.hooksPath", "../hooks"); return r }, "HOME/hooks true local"},
		{"home", func(r *testRepo) *testRepo { r.git("config", "core.hooksPath", "~/hooks"); return r }, "HOME/hooks true local"},
		{"global", func(r *testRepo) *testRepo { r.git("config", "--global", "core.hooksPath", "~/hooks"); return r }, "HOME/hooks true global"},
		{"global, relative", func(r *testRepo) *testRepo { r.git("config", "--global", "core.hooksPath", ".hooks"); return r }, "REPO/.hooks true global"},
		{"own wins", func(r *testRepo) *testRepo {
			r.git("config", "--global", "core.hooksPath", "~/hooks")
			r.git("config", "core.hooksPath", ".git/hooks")
			return r
		}, "REPO/.git/hooks false local"},
		{"environment", func(r *testRepo) *testRepo {
			return r.with("GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.hookspath", "GIT_CONFIG_VALUE_0=h")
		}, "REPO/h true command"},
		{"linked work tree", func(r *testRepo) *testRepo {
			r.commit("x")
			r.git("worktree", "add", "-q", "../w")
			return r.at("../w")
		}, "REPO/.git/hooks false "},
		{"bare", func(r *testRepo) *testRepo { r.git("init", "-q", "--bare", "../b.git"); return r.at("../b.git") }, "HOME/b.git/hooks false "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			home := paths.Real(r.path(".."))
			want := strings.NewReplacer("REPO", r.dir, "HOME", home).Replace(tt.want)
			tt.setup(r).both(false, want, func(repo Repository) (string, error) {
				dir, err := repo.HooksDir(context.Background())
				return fmt.Sprint(dir.Path, " ", dir.Shared, " ", dir.Scope), err
			})
		})
	}
}

func TestNoWorkTree(t *testing.T) {
	r := newRepo(t, "--bare")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		var none *NoWorkTreeError
		if err := repo.WorkTree(context.Background(), Visitor{}); !errors.As(err, &none) {
			t.Errorf("%s: %v", backend, err)
		}
		repo.Close()
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// FuzzConfig compares our reading of a config file with git's.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"[a]\nb=c\n", "[a \"x\\\"y\"]\n b = \"q\" z ; c\n", "[a]b\n[a]\n b = x\\\n y\n", "\ufeff[core]\n\tbare = true\r\n", "[a.b]\nC = \\t\\n\n", "[a]\n b = 'x'  \n#c\n c", "[", "[a \"b", "[a \"b\"", "[a \"b\"x]\nc=d\n", "[a]\nb = \"unclosed\n"} {
		f.Add(seed)
	}
	_, lookErr := exec.LookPath("git")
	f.Fuzz(func(t *testing.T, text string) {
		entries := parseConfig(text)
		if lookErr != nil || strings.Contains(text, "\x00") {
			return
		}
		file := t.TempDir() + "/config"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("git", "config", "--file", file, "--list", "-z", "--no-includes")
		cmd.Env = gittest.Environ(t, t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			return // git refuses the file
		}
		var ours strings.Builder
		for _, e := range entries {
			ours.WriteString(e.key)
			if !e.bare {
				ours.WriteString("\n" + e.value)
			}
			ours.WriteByte(0)
		}
		// From 2.45 git keeps a tab between two words, before it made it a space.
		plain := strings.NewReplacer("\t", " ", "\r", " ")
		if plain.Replace(ours.String()) != plain.Replace(string(out)) {
			t.Errorf("%q:\nwe read %q\ngit     %q", text, ours.String(), out)
		}
	})
}
