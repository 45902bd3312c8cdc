//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// Programs that people have beside ours, run for real. .ci/run installs them and
// names their versions.

// goSettings are where Go keeps its caches and what it is to do, as NAME=value: in a
// home of its own it would begin with empty ones. It comes before isolateProcess.
func goSettings(t *testing.T) []string {
	t.Helper()
	needs.Program(t, "go")
	settings, err := goPlaces()
	must(t, err)
	return settings
}

var goPlaces = sync.OnceValues(func() ([]string, error) {
	names := []string{"GOCACHE", "GOPATH", "GOMODCACHE", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, err
	}
	settings := []string{"GOPROXY=off", "GOFLAGS="}
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		settings = append(settings, names[i]+"="+value)
	}
	return settings, nil
})

// sources is a folder with what CI takes of this project: the action and its
// scripts, and a program that builds at once and stands in for ours.
func sources(t *testing.T) *repo {
	t.Helper()
	program, err := exec.LookPath("git-muxi-secrets")
	must(t, err)
	r := newRepo(t)
	r.write("go.mod", "module standin\n\ngo 1.26\n")
	r.write("main.go", fmt.Sprintf("package main\n\nimport (\n\t\"os\"\n\t\"syscall\"\n)\n\nfunc main() { syscall.Exec(%q, append([]string{\"git-muxi-secrets\"}, os.Args[1:]...), os.Environ()) }\n", program))
	content, err := os.ReadFile(filepath.Join("..", "action.yml"))
	must(t, err)
	r.write("action.yml", string(content))
	must(t, os.CopyFS(r.path("docs/ci"), os.DirFS(filepath.Join("..", "docs", "ci"))))
	r.git("add", "-A")
	r.save("sources")
	return r
}

// act runs the repository's workflow as GitHub does, on this machine itself. local
// are the actions that are had from folders, as OWNER/NAME@REF=DIR.
func (r *repo) act(event string, local []string, args ...string) result {
	r.Helper()
	args = append([]string{event, "-P", "ubuntu-latest=-self-hosted", "--use-gitignore=false", "--pull=false"}, args...)
	for _, action := range local {
		args = append(args, "--local-repository", action)
	}
	return r.run("", "act", args...)
}

// The workflow of docs/ci/github.yml with our action, run by act: on a push the tree
// is judged, in a pull request each commit since the base.
func TestActionUnderAct(t *testing.T) {
	settings := goSettings(t)
	isolateProcess(t)
	needs.Program(t, "act")
	needs.Program(t, "bash")
	from := sources(t)
	workflow, err := os.ReadFile(filepath.Join("..", "docs", "ci", "github.yml"))
	must(t, err)

	r := newRepo(t)
	r.env = settings
	r.stage(".github/workflows/secrets.yml", string(workflow))
	r.save("base")
	r.git("remote", "add", "origin", "https://github.com/example/project.git")
	r.git("update-ref", "refs/remotes/origin/main", "HEAD")
	r.git("checkout", "-q", "-b", "feature")
	r.stage("a b/notes.txt", leak)
	r.save("leaky")
	r.git("rm", "-q", "a b/notes.txt")
	r.stage("kept.txt", "\n"+leak)
	r.save("moved")
	r.write("../event.json", `{"pull_request": {"base": {"ref": "main"}, "head": {"ref": "feature"}}}`)

	const kept, gone = "::error file=kept.txt,line=2,col=8,title=git muxi-secrets%3A plaintext-key::", "::error file=a b/notes.txt,line=1,col=8,"
	for _, tt := range []struct {
		event string
		args  []string
		says  []string
		code  int
	}{
		{"push", nil, []string{kept}, 1},
		{"pull_request", []string{"-e", r.path("../event.json")}, []string{gone, kept}, 1},
	} {
		res := r.act(tt.event, []string{"muxi-ai/git-muxi-secrets@main=" + from.dir}, tt.args...)
		said := res.out + res.err
		if res.code != tt.code || strings.Count(said, "::error") != len(tt.says) {
			t.Errorf("%s: exit %d\n%s", tt.event, res.code, said)
		}
		for _, says := range tt.says {
			if !strings.Contains(said, says) {
				t.Errorf("%s does not say %q\n%s", tt.event, says, said)
			}
		}
	}

	r.git("checkout", "-q", "main")
	if res := r.act("push", []string{"muxi-ai/git-muxi-secrets@main=" + from.dir}); res.code != 0 || !strings.Contains(res.out, "Job succeeded") {
		t.Errorf("a clean push: exit %d\n%s%s", res.code, res.out, res.err)
	}
}

// What the documents say of sops brings every value as it is: out of what sops
// itself has encrypted for an age key.
func TestSopsRecipe(t *testing.T) {
	sideBySide(t)
	line := regexp.MustCompile("sops decrypt [^`\n|]*secrets\\.yaml \\| git muxi-secrets\\s+import -")
	recipes := map[string]string{}
	for _, file := range documents(t) {
		content, err := os.ReadFile(filepath.Join("..", file))
		must(t, err)
		if recipe := line.Find(content); recipe != nil {
			recipes[file] = strings.Join(strings.Fields(string(recipe)), " ")
		}
	}
	if len(recipes) < 3 {
		t.Errorf("%d recipes: README, guide and manual page have one each", len(recipes))
	}

	needs.Program(t, "sops")
	reader, err := age.GenerateX25519Identity()
	must(t, err)
	for file, recipe := range recipes {
		t.Run(file, func(t *testing.T) {
			b := newSandbox(t, simpleExample, true)
			b.write("../keys.txt", reader.String()+"\n")
			b.write("secrets.yaml", "PEM: |\n    line one\n    line two\nHASH: 'a #b'\nQUOTE: its \"x\"\nPORT: 5432\nDOLLAR: $HOME ${X} a\\b\n# c\nEMPTY: \"\"\n")
			r := gittest.Repo{TB: t, Dir: b.dir, Env: append(os.Environ(), "SOPS_AGE_KEY_FILE="+filepath.Join(b.dir, "../keys.txt"))}
			for _, command := range []string{"sops encrypt --in-place --age " + reader.Recipient().String() + " secrets.yaml", recipe} {
				if res := r.Run("", "sh", "-c", command); res.Code != 0 {
					t.Fatalf("%s: exit %d\n%s", command, res.Code, res.Err)
				}
			}
			got, _ := b.secrets()
			sameSecrets(t, got, map[string]string{"PEM": "line one\nline two\n", "HASH": "a #b", "QUOTE": `its "x"`, "PORT": "5432", "DOLLAR": `$HOME ${X} a\b`})
		})
	}
}

// gitleaks and ours in one chain of hooks: each stops what it knows, and neither
// takes what the other keeps in the repository for a leak.
func TestBesideGitleaks(t *testing.T) {
	sideBySide(t)
	needs.Program(t, "gitleaks")
	const theirs = "gitleaks git --staged --no-banner --redact --verbose"
	for _, tt := range []struct {
		name string
		make func(t *testing.T, r *repo)
	}{
		{"hook", func(t *testing.T, r *repo) {
			r.executable(".git/hooks/pre-commit", "#!/bin/sh\nexec "+theirs+"\n")
			r.mustMuxi("hooks", "install")
		}},
		{"lefthook", func(t *testing.T, r *repo) {
			needs.Program(t, "lefthook")
			r.write("lefthook.yml", "pre-commit:\n  commands:\n    gitleaks:\n      run: "+theirs+"\n")
			r.mustMuxi("hooks", "install", "--write")
			r.mustRun("lefthook", "install")
		}},
		{"pre-commit", func(t *testing.T, r *repo) {
			needs.Program(t, "pre-commit")
			needs.Program(t, "bash")
			r.env = append(r.env, "PRE_COMMIT_HOME="+r.path("../cache"))
			r.write(".pre-commit-config.yaml", "repos:\n- repo: local\n  hooks:\n  - {id: gitleaks, name: gitleaks, entry: "+theirs+", language: system, pass_filenames: false}\n")
			r.mustRun("pre-commit", "install")
			r.mustMuxi("hooks", "install", "--write")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.name != "hook" {
				t.Skip("a sample is enough here")
			}
			t.Parallel()
			r := newRepo(t)
			r.env = []string{"NO_COLOR=1"}
			r.formation("agent", "TOKEN=hunter2-hunter2")
			tt.make(t, r)
			r.write("README.md", "readme\n")
			r.git("add", "-A")
			r.save("settings")

			for _, leaky := range []struct{ content, ours, theirs string }{
				{leak, "notes.txt:1:8: error", "RuleID: github-pat"},
				{"password: hunter2-hunter2\n", "notes.txt:1:11: error", ""},                                              // stored here
				{"url: https://x.example/?apiKey=" + "1d4f7a0c3e6b9d2f5a8c1e4b7d0a3f6c\n", "", "RuleID: generic-api-key"}, // chance alone
			} {
				r.stage("notes.txt", leaky.content)
				res := r.try("commit", "-qm", "x")
				said := strings.Join(strings.Fields(res.out+res.err), " ")
				for _, says := range []string{leaky.ours, leaky.theirs} {
					if !strings.Contains(said, says) && !(tt.name == "hook" && says == leaky.ours && leaky.theirs != "") {
						t.Errorf("it does not say %q: exit %d\n%s%s", says, res.code, res.out, res.err)
					}
				}
				if res.code == 0 {
					t.Errorf("a leak is committed\n%s%s", res.out, res.err)
				}
			}

			// What ours keeps is no leak to theirs: vault, template and people.
			r.stage("notes.txt", clean)
			r.refer("agent/formation.afs", "NEW")
			if res := r.at("agent").run("just-stored-9988", "git-muxi-secrets", "add", "NEW", "--stdin"); res.code != 0 {
				t.Fatalf("add: exit %d\n%s", res.code, res.err)
			}
			bob, err := age.GenerateX25519Identity()
			must(t, err)
			r.at("agent").mustMuxi("share", "add", bob.Recipient().String())
			r.git("add", "-A")
			if res := r.try("commit", "-qm", "clean"); res.code != 0 {
				t.Errorf("a clean commit: exit %d\n%s%s", res.code, res.out, res.err)
			}
			if res := r.run("", "gitleaks", "git", "--no-banner", "--redact", "--verbose"); res.code != 0 {
				t.Errorf("gitleaks on the history: exit %d\n%s%s", res.code, res.out, res.err)
			}
		})
	}
}

// Git LFS in the same repository: its hooks run behind ours, its files come and go,
// the vault is none of them. What a commit has of such a file is a pointer, so that
// its content is judged in the work tree alone.
func TestBesideGitLFS(t *testing.T) {
	sideBySide(t)
	needs.Program(t, "git-lfs")
	r := newRepo(t)
	r.mustMuxi("hooks", "install")
	before := r.filesIn(".git/hooks")
	if res := r.try("lfs", "install", "--local"); res.code == 0 || !strings.Contains(res.out+res.err, "Hook already exists") {
		t.Errorf("Git LFS over our hooks: exit %d\n%s%s", res.code, res.out, res.err)
	}
	for name, content := range before {
		if r.filesIn(".git/hooks")[name] != content {
			t.Errorf("Git LFS changed our %s", name)
		}
	}
	r.mustMuxi("hooks", "uninstall") // what the manual page says
	r.git("lfs", "install", "--local")
	r.mustMuxi("hooks", "install")

	r.git("lfs", "track", "*.bin")
	r.write("model.bin", strings.Repeat("weights ", 1000))
	r.formation("agent", "TOKEN=hunter2-hunter2")
	if pointer := r.show("HEAD", "model.bin"); !strings.HasPrefix(pointer, "version https://git-lfs") {
		t.Fatalf("git has no pointer but %d bytes", len(pointer))
	}
	r.git("init", "-q", "--bare", "../remote.git")
	r.git("remote", "add", "origin", "../remote.git")
	r.git("push", "-q", "origin", "main")
	r.git("-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "clone", "-q", "../remote.git", "../clone")
	if r.read("../clone/model.bin") != r.read("model.bin") {
		t.Error("the clone has another file: the push brought none")
	}
	r.write("../clone/agent/.key", r.read("agent/.key"))
	if got := r.at("../clone/agent").mustMuxi("get", "TOKEN"); got != "hunter2-hunter2" {
		t.Error("the clone's vault is another")
	}

	r.stage("notes.txt", leak)
	stops(r, "notes.txt:1:8: error", "commit", "-qm", "x")
	r.save("leaky")
	stops(r, "notes.txt:1:8: error", "push", "-q", "origin", "main")
	r.git("reset", "-q", "--hard", "HEAD~1")

	r.stage("model.bin", leak)
	if res := r.muxi("check", "--staged"); res.code != 0 {
		t.Errorf("a pointer: exit %d\n%s", res.code, res.out)
	}
	if res := r.muxi("check"); res.code != 1 || !strings.Contains(res.out, "model.bin:1:8: error") {
		t.Errorf("the file behind it: exit %d\n%s", res.code, res.out)
	}
}
