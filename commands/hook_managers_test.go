//go:build unix

package commands_test

import (
	"os"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// lintStaged is what lint-staged does around the tasks of a commit, command by
// command: the parts of files that are not staged are kept as a patch and as a
// stash, go out of the work tree, and come back.
const lintStaged = `#!/bin/sh
set -e
patch=$(git rev-parse --git-dir)/lint-staged_unstaged.patch
partial=$(git status --porcelain | sed -n 's/^[MARC][MD] //p')
if [ -n "$partial" ]; then
	git diff --binary --unified=0 --no-color --no-ext-diff --src-prefix=a/ --dst-prefix=b/ --patch --submodule=short --output="$patch" -- $partial
fi
hash=$(git stash create)
git stash store --quiet --message 'lint-staged automatic backup' "$hash"
[ -z "$partial" ] || git checkout --force -- $partial
git muxi-secrets hook-run pre-commit
if [ -n "$partial" ]; then
	git apply -v --whitespace=nowarn --recount --unidiff-zero "$patch" || git apply -v --whitespace=nowarn --recount --unidiff-zero --3way "$patch"
	rm "$patch"
fi
git stash drop --quiet
`

// Under a manager that puts unstaged work aside for its hooks, ours writes neither
// index nor work tree: what it would write is in the way of that work coming back,
// and a value that was just stored was lost with it.
func TestManagersThatSetWorkAside(t *testing.T) {
	sideBySide(t)
	for _, tt := range sample([]struct {
		name string
		make func(t *testing.T, r *repo)
	}{
		{"pre-commit", func(t *testing.T, r *repo) {
			needs.Program(t, "pre-commit")
			needs.Program(t, "bash")
			r.env = []string{"PRE_COMMIT_HOME=" + r.path("../cache")}
			r.stage(".pre-commit-config.yaml", "repos:\n  - repo: local\n    hooks:\n      - {id: m, name: m, entry: git-muxi-secrets hook-run pre-commit, language: system, pass_filenames: false, always_run: true, verbose: true}\n")
			r.mustRun("pre-commit", "install")
		}},
		{"lefthook", func(t *testing.T, r *repo) {
			needs.Program(t, "lefthook")
			r.stage("lefthook.yml", "pre-commit:\n  commands:\n    muxi-secrets:\n      run: git muxi-secrets hook-run pre-commit\n")
			r.mustRun("lefthook", "install")
		}},
		{"lefthook that stages what others mended", func(t *testing.T, r *repo) {
			needs.Program(t, "lefthook")
			r.stage("lefthook.yml", "pre-commit:\n  piped: true\n  commands:\n    1-format:\n      run: echo mended >>notes.txt\n      stage_fixed: true\n    2-muxi-secrets:\n      run: git muxi-secrets hook-run pre-commit\n")
			r.mustRun("lefthook", "install")
		}},
		{"lint-staged", func(t *testing.T, r *repo) { r.executable(".git/hooks/pre-commit", lintStaged) }},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.formation("agent", "TOKEN=hunter2-hunter2")
			r.stage("notes.txt", "notes\n")
			tt.make(t, r)
			r.env = append(r.env, "NO_COLOR=1")
			r.save("settings")

			// Staged: a reference, a comment in the template. Not staged: a secret just
			// stored, the names in the template, more of everything.
			r.refer("agent/formation.afs", "NEW")
			r.write("agent/secrets", "# mine\nTOKEN=\n")
			r.write("notes.txt", "notes\nstaged\n")
			r.git("add", "-u")
			r.refer("agent/formation.afs", "LATER")
			if res := r.at("agent").run("just-stored-9988", "git-muxi-secrets", "add", "NEW", "--stdin"); res.code != 0 {
				t.Fatalf("add: exit %d\n%s", res.code, res.err)
			}
			before := map[string]string{}
			for _, file := range []string{"formation.afs", "secrets", "secrets.enc"} {
				before[file] = r.read("agent/" + file)
			}

			res := r.try("commit", "-m", "use")
			said := strings.Join(strings.Fields(res.out+res.err), " ")
			if res.code != 0 || !strings.Contains(said, "agent/secrets:1:1: warning: the template is stale") || !strings.Contains(said, "'git muxi-secrets sync'") {
				t.Errorf("commit: exit %d\n%s%s", res.code, res.out, res.err)
			}
			for file, content := range before {
				if r.read("agent/"+file) != content {
					t.Errorf("%s is not as it was", file)
				}
			}
			if got := r.at("agent").mustMuxi("get", "NEW"); got != "just-stored-9988" {
				t.Error("the value that was just stored is not in the vault any more")
			}
			if got := r.show("HEAD", "agent/secrets"); got != "# mine\nTOKEN=\n" {
				t.Errorf("the template in the commit is %q", got)
			}
			if got := r.git("stash", "list"); got != "" {
				t.Errorf("left behind: %s", got)
			}

			// What the warning names ends it.
			r.mustMuxi("sync")
			r.git("add", "-A")
			if res := r.try("commit", "-qm", "rest"); res.code != 0 || strings.Contains(res.out+res.err, "stale") {
				t.Errorf("the next commit: exit %d\n%s%s", res.code, res.out, res.err)
			}
			if got := r.show("HEAD", "agent/secrets"); got != "LATER=\n# mine\nNEW=\nTOKEN=\n" && got != "# mine\nLATER=\nNEW=\nTOKEN=\n" {
				t.Errorf("the template in the end is %q", got)
			}
		})
	}
}

// Where nothing was put aside, a manager's hook brings the template along as our
// own does.
func TestManagersWithNothingAside(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "TOKEN=hunter2-hunter2")
	r.executable(".git/hooks/pre-commit", lintStaged)
	r.write("notes.txt", "older work\n")
	r.git("add", "notes.txt")
	r.git("stash", "-q") // is nobody's just now
	r.refer("agent/formation.afs", "NEW")
	r.git("add", "-u")
	if res := r.try("commit", "-qm", "x"); res.code != 0 || !strings.Contains(res.err, "brought agent/secrets up to date") {
		t.Errorf("exit %d\n%s", res.code, res.err)
	}
	if got := r.show("HEAD", "agent/secrets"); got != "NEW=\nTOKEN=\n" {
		t.Errorf("the template is %q", got)
	}
}

func (r *repo) executable(path, content string) {
	r.Helper()
	r.write(path, content)
	must(r, os.Chmod(r.path(path), 0o755))
}
