//go:build unix

package commands_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/scan/scantest"
)

// planted are 200 files, each with one leak: stored values and tokens, as they are
// and in every encoding, and in archives.
func planted(t testing.TB) map[string]string {
	values := map[string]string{
		"stored-password": "hunter2-hunter2", "stored-phrase": "correct-horse-battery-staple", "stored-key": "Zq9xT7mWr2Yn5Hc8sJd4Gp6a",
		"token": strings.TrimSpace(strings.TrimPrefix(leak, "token: ")), "other-token": "gsk_" + "Zq9xT7mWr2Yn5Hc8sJd4Gp6aKe1uViZq9xT7mWr2Yn5Hc8sJd4Gp",
	}
	files := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		spelled := scantest.Spelled(values[name])
		spelled["plain"] = "x = " + values[name]
		for i, how := range slices.Sorted(maps.Keys(spelled)) {
			files[fmt.Sprintf("planted/%s-%02d.txt", name, i)] = "# " + how + "\n\n" + spelled[how] + "\n"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files))[195:] {
		delete(files, name)
	}
	files["planted/large.log"] = strings.Repeat("some line\n", 250_000) + "x = hunter2-hunter2\n" // not held in memory
	for i, text := range []string{"a hunter2-hunter2", "b " + values["token"], "c " + scantest.Percent("hunter2-hunter2"), "d correct-horse-battery-staple"} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create("inside.txt")
		must(t, err)
		w.Write([]byte(strings.Repeat("some line\n", 50) + text))
		must(t, z.Close())
		files[fmt.Sprintf("planted/packed-%d.zip", i)] = b.String()
	}
	return files
}

// Every scope, hook and backend finds the same 200 leaks, with the same places and
// fingerprints.
func TestEveryScopeFindsThePlanted(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "PASSWORD=hunter2-hunter2", "PHRASE=correct-horse-battery-staple", "KEY=Zq9xT7mWr2Yn5Hc8sJd4Gp6a")
	r.git("branch", "origin")
	files := planted(t)
	if len(files) != 200 {
		t.Fatalf("%d files", len(files))
	}
	for name, content := range files {
		r.write(name, content)
	}

	short := filepath.Join(t.TempDir(), "bin")
	must(t, os.Mkdir(short, 0o755))
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(short, "git-muxi-secrets")))
	withoutGit := &repo{TB: t, dir: r.dir, env: []string{"PATH=" + short}}
	found := func(args ...string) map[string]checkedFinding {
		t.Helper()
		var first map[string]checkedFinding
		for name, program := range map[string]string{"git": "git-muxi-secrets", "go-git": filepath.Join(short, "git-muxi-secrets")} {
			in := r
			if name == "go-git" {
				in = withoutGit
			}
			res := in.run("", program, append([]string{"check", "--json"}, args...)...)
			var c checked
			if err := json.Unmarshal([]byte(res.out), &c); err != nil || res.code != 1 {
				t.Fatalf("%s, %v: exit %d, %v\n%s", name, args, res.code, err, res.err)
			}
			leaks := map[string]checkedFinding{}
			for _, f := range c.Findings {
				if f.Commit = ""; strings.HasPrefix(f.Path, "planted/") {
					if _, twice := leaks[f.Path]; twice {
						t.Errorf("%s, %v: %s is found twice", name, args, f.Path)
					}
					leaks[f.Path] = f
				}
			}
			if first == nil {
				first = leaks
			} else if !maps.Equal(first, leaks) {
				t.Errorf("%v: the backends differ", args)
			}
		}
		return first
	}

	want := found()
	for name, content := range files {
		if _, ok := want[name]; !ok {
			first, _, _ := strings.Cut(content, "\n")
			t.Errorf("%s is not found: %.30q", name, first)
		}
	}
	same := func(scope string, got map[string]checkedFinding) {
		t.Helper()
		if !maps.Equal(got, want) {
			t.Errorf("%s finds %d, or others, than the plain check with %d", scope, len(got), len(want))
		}
	}
	counts := func(res result, what string) {
		t.Helper()
		if !strings.Contains(res.err, fmt.Sprintf("the %s was stopped: %d findings", what, len(want))) {
			t.Errorf("the %s: %s", what, res.err[max(0, len(res.err)-800):])
		}
	}
	r.git("add", "-A")
	same("--staged", found("--staged"))
	counts(r.muxi("hook-run", "pre-commit"), "commit")
	r.save("planted")
	same("--base", found("--base", "origin"))
	same("--range", found("--range", "origin..HEAD"))
	same("--history", found("--history"))
	head := r.git("rev-parse", "HEAD", "origin")
	ids := strings.Fields(head)
	counts(r.run(fmt.Sprintf("refs/heads/x %s refs/heads/x %s\n", ids[0], ids[1]), "git-muxi-secrets", "hook-run", "pre-push", "nowhere"), "push")

	// A text from a pipe has no names and is not unpacked; what it spells is found.
	var text strings.Builder
	var rules []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".txt") {
			text.WriteString(files[name] + "\n\n")
			rules = append(rules, want[name].Rule+" "+want[name].Secret)
		}
	}
	res := r.at("agent").run(text.String(), "git-muxi-secrets", "check", "--stdin", "--json")
	var c checked
	must(t, json.Unmarshal([]byte(res.out), &c))
	var got []string
	for _, f := range c.Findings {
		got = append(got, f.Rule+" "+f.Secret)
	}
	if !slices.Equal(got, rules) {
		t.Errorf("--stdin finds %d, want %d", len(got), len(rules))
	}
}
