//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/creack/pty"

	"github.com/muxi-ai/git-muxi-secrets/commands"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
	"github.com/muxi-ai/git-muxi-secrets/internal/typist"
)

// documents are the texts for people, from the top of the source tree.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/man/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		must(t, err)
		for _, file := range found {
			list = append(list, strings.TrimPrefix(filepath.ToSlash(file), "../"))
		}
	}
	return list
}

// docLine is something to type that a document has: a line of a block, or a command in
// a cell of a table. shows is the output that stands below it.
type docLine struct {
	number int
	text   string
	shows  []string
}

// linesToType reads a document. In a block with "$ " only those lines are typed.
func linesToType(text string) []docLine {
	var list []docLine
	fence := ""
	var block []docLine
	end := func() {
		typed := slices.ContainsFunc(block, func(l docLine) bool { return strings.HasPrefix(l.text, "$ ") })
		for _, line := range block {
			command, prompt := strings.CutPrefix(line.text, "$ ")
			switch {
			case !typed, prompt:
				list = append(list, docLine{line.number, command, nil})
			default:
				last := &list[len(list)-1]
				last.shows = append(last.shows, line.text)
			}
		}
		block = nil
	}
	for i, line := range strings.Split(text, "\n") {
		body, indented := strings.CutPrefix(line, "    ")
		marker := strings.TrimSpace(line)
		switch {
		case fence == "" && (strings.HasPrefix(marker, "```") || strings.HasPrefix(marker, "~~~")):
			end()
			fence = marker[:3]
		case fence != "" && strings.HasPrefix(marker, fence):
			end()
			fence = ""
		case fence != "" && marker != "":
			block = append(block, docLine{i + 1, line, nil})
		case fence == "" && indented && marker != "":
			block = append(block, docLine{i + 1, body, nil})
		default:
			end()
			if strings.HasPrefix(line, "|") {
				for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
					if code := strings.ReplaceAll(span[1], `\|`, "|"); strings.HasPrefix(code, "git ") || strings.Contains(code, "| git ") {
						list = append(list, docLine{i + 1, code, nil})
					}
				}
			}
		}
	}
	end()
	return list
}

// ourCalls finds the calls of the program in a line that a person types, as words
// behind its name.
func ourCalls(line string) [][]string {
	var calls [][]string
	for _, found := range regexp.MustCompile(`git[ -]muxi-secrets((?: +(?:"[^"]*"|'[^']*'|[^\s|;&#<>'"()`+"`"+`]+))*)`).FindAllStringSubmatch(line, -1) {
		calls = append(calls, strings.Fields(found[1]))
	}
	return calls
}

// TestDocsNameWhatExists: every command, subcommand and flag that a document has
// people type.
func TestDocsNameWhatExists(t *testing.T) {
	calls := 0
	for _, file := range documents(t) {
		content, err := os.ReadFile(filepath.Join("..", file))
		must(t, err)
		for _, line := range linesToType(string(content)) {
			for _, words := range ourCalls(line.text) {
				calls++
				if problem := commands.WrongCall(words); problem != "" {
					t.Errorf("%s:%d: %q: %s", file, line.number, line.text, problem)
				}
			}
		}
	}
	if calls < 100 {
		t.Errorf("only %d calls were looked at", calls)
	}
}

func TestLinesToType(t *testing.T) {
	text := "text\n\n    git muxi-secrets a\n    git b  # why\n\n| `git c \\| d` | `no` |\n\n    $ git e\n    shown\n      more\n    $ f\n\n```sh\ngit g\n```\nend `git h`\n"
	var got []string
	for _, line := range linesToType(text) {
		got = append(got, fmt.Sprintf("%d %s %q", line.number, line.text, line.shows))
	}
	want := []string{`3 git muxi-secrets a []`, `4 git b  # why []`, `6 git c | d []`, `8 git e ["shown" "  more"]`, `11 f []`, `14 git g []`}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := ourCalls(`printf %s "$K" | git muxi-secrets -C x key import - && git-muxi-secrets list`); fmt.Sprint(got) != "[[-C x key import -] [list]]" {
		t.Errorf("calls are %v", got)
	}
	for call, wrong := range map[string]bool{"list --all": false, "list --nosuch": true, "nosuch": true, "share nosuch": true, "key export --to x": false, "-C x list": false, "add NAME": false} {
		if problem := commands.WrongCall(strings.Fields(call)); (problem != "") != wrong {
			t.Errorf("%s: %q", call, problem)
		}
	}
}

// docStep says how a line of a document is run. Of the documents below, each line
// stands in one, in order: a new one fails the test until somebody decides.
type docStep struct {
	line   string
	before string // what the text around it takes for granted
	run    string // instead of the line: placeholders filled in, both of two ways
	not    string // why it is not run
}

const (
	isText    = "a file's content"
	isPicture = "a picture of folders"
)

func readmeSteps() []docStep {
	return []docStep{
		{
			line:   `CGO_ENABLED=0 go install . && export PATH="$PATH:$(go env GOPATH)/bin" && cp -r testdata/formations/01-simple-chatbot my-agent && cd my-agent && git muxi-secrets add OPENAI_API_KEY`,
			before: `git init -q && echo /testdata >> .git/info/exclude`,
			run:    `cp -r testdata/formations/01-simple-chatbot my-agent && cd my-agent && git muxi-secrets add OPENAI_API_KEY`, // it is installed
		},
		{line: `git muxi-secrets list`},

		{line: `git muxi-secrets add OPENAI_API_KEY`},
		{line: `llm:`, not: isText},
		{line: `  api_keys:`, not: isText},
		{line: `    openai: "${{ secrets.OPENAI_API_KEY }}"`, not: isText},
		{line: `git muxi-secrets doctor     # lists what is wrong, and the command that mends it`},
		{line: `git add -A . && git commit -m "The first secret"`},

		{line: `git muxi-secrets share add ~/Downloads/bob.pub --name Bob    # or: share add age1... --name Bob`, before: `mkdir ~/Downloads && cp ~/bob.pub ~/Downloads`},
		{line: `git muxi-secrets share add ~/.ssh/id_ed25519.pub             # yourself: see below`,
			run: `git muxi-secrets share add ~/ann.pub`}, // here she has an age key
		{line: `git add -A . && git commit -m "Bob may unlock" && git push`, before: `git init -q --bare ~/origin.git && git remote add origin ~/origin.git && git push -q -u origin main`},
		{line: `git muxi-secrets unlock           # with his private key: ~/.ssh/id_*, ~/.config/age/keys.txt, or --identity FILE`, before: `git clone -q ~/origin.git ~/bob && cd ~/bob/my-agent`},
		{line: `git muxi-secrets hooks install    # hooks do not come with a clone`},

		{line: `git muxi-secrets unlock`, before: `rm .key`},
		{line: `git muxi-secrets key export --to you.pub > key-for-you.age    # they`, before: `cp ~/ann.pub you.pub`},
		{line: `git muxi-secrets key import key-for-you.age                   # you`, before: `rm -r .key "$(git rev-parse --git-common-dir)/muxi-secrets/keys"`},

		{line: `git muxi-secrets add NAME`},
		{line: `pass show openai | git muxi-secrets add NAME --stdin`, before: `pass() { echo sk-from-pass; }`},
		{line: `git muxi-secrets add NAME --generate`},
		{line: `git muxi-secrets setup`},
		{line: `git muxi-secrets list`},
		{line: `git muxi-secrets status --all`},
		{line: `git muxi-secrets get NAME`},
		{line: `git muxi-secrets get NAME --rev v1.0`, before: `git add -A && git commit -qm NAME && git tag v1.0`},
		{line: `git muxi-secrets edit`, run: `GIT_EDITOR=cat git muxi-secrets edit`},
		{line: `git muxi-secrets rename OLD NEW`, before: `git muxi-secrets add OLD --generate`},
		{line: `git muxi-secrets delete NAME`},
		{line: `git muxi-secrets restore NAME --rev v1.0`},
		{line: `git muxi-secrets log NAME`},
		{line: `git muxi-secrets diff`},
		{line: `git muxi-secrets copy NAME --to formations/prod`,
			before: `mkdir -p formations/prod && cp formation.afs formations/prod && git muxi-secrets -C formations/prod init`},
		{line: `git muxi-secrets resolve`, before: `git add -A && git commit -qm copied && (` + conflict + `); git muxi-secrets resolve OPENAI_API_KEY --ours`},
		{line: `git muxi-secrets rotate`, before: `git commit -qm merged`},

		{line: `git muxi-secrets check --base origin/main`, before: `git add -A && git commit -qm rotated`, run: `git muxi-secrets check --base origin/main; [ $? -le 1 ]`},
		{line: `git muxi-secrets check --history`, run: `git muxi-secrets check --history; [ $? -le 1 ]`},
		{line: `git muxi-secrets extract`, before: `echo '  key: hunter2-hunter2' >> formation.afs`, run: `git muxi-secrets extract --yes`},
		{line: `git muxi-secrets scrub`, before: `git add -A && git commit -qm clean`},
		{line: `go test ./...`, not: "this is one of the tests"},
	}
}

// conflict ends in the middle of a merge in which both sides changed a secret.
const conflict = `git switch -qc feature && git muxi-secrets add OPENAI_API_KEY --generate && git commit -qam theirs &&
	git switch -q main && git muxi-secrets add OPENAI_API_KEY --generate && git commit -qam ours && ! git merge -q feature`

func guideSteps() []docStep {
	return []docStep{
		{line: `git muxi-secrets man guide`},
		{line: `cd formations/my-agent`, before: `git init -q && echo /testdata >> .git/info/exclude && mkdir formations && cp -r testdata/formations/01-simple-chatbot formations/my-agent`},
		{line: `git muxi-secrets add OPENAI_API_KEY`},
		{line: `git add -A . && git commit -m "the first secret"`},
		{line: `llm:`, not: isText},
		{line: `  api_keys:`, not: isText},
		{line: `    openai: "${{ secrets.OPENAI_API_KEY }}"`, not: isText},
		{line: `git muxi-secrets share add bob.pub --name Bob`, before: `cp ~/bob.pub . && git muxi-secrets share add ~/ann.pub`},
		{line: `git add -A . && git commit -m "Bob may unlock" && git push`, before: `git init -q --bare ~/origin.git && git remote add origin ~/origin.git && git push -q -u origin main`},
		{line: `git muxi-secrets unlock`, before: `git clone -q ~/origin.git ~/bob && cd ~/bob/formations/my-agent`},
		{line: `git muxi-secrets hooks install`},
		{line: `git muxi-secrets share remove Bob`},
		{line: `formations/dev      formation.afs  .key  secrets.enc`, not: isPicture},
		{line: `formations/prod     formation.afs  .key  secrets.enc`, not: isPicture},
		{line: `git muxi-secrets status --all                              # what prod lacks`,
			before: `git add -A && git commit -qm "without Bob" && cd ../.. && for e in dev prod; do mkdir -p formations/$e && cp formations/my-agent/formation.afs formations/$e && git muxi-secrets -C formations/$e init; done`},
		{line: `git muxi-secrets -C formations/prod add OPENAI_API_KEY`},
		{line: `git muxi-secrets -C formations/dev copy BRAVE_API_KEY --to formations/prod`, before: `git muxi-secrets -C formations/dev add BRAVE_API_KEY --generate`},
		{line: `git merge feature`, before: `cd formations/prod && git add -A .. && git commit -qm environments && (` + conflict + `); git merge --abort`, run: `! git merge feature`},
		{line: `git muxi-secrets resolve OPENAI_API_KEY --theirs     # or --ours, or --stdin for another value`},
		{line: `git commit`},
		{line: `git muxi-secrets diff HEAD~1`},
		{line: `git muxi-secrets log OPENAI_API_KEY`},
		{line: `git muxi-secrets restore OPENAI_API_KEY --rev HEAD~1     # the value it had there`},
		{line: `git muxi-secrets scrub --dry-run`, before: `git commit -qam restored`},
		{line: `git muxi-secrets scrub              # a new commit on top does not take it out`, before: `git add -A; git commit -qm clean; true`},
		{line: `git rm --cached .key`, before: `git add -f .key && git commit -qnm "the key, by mistake"`},
		{line: `git muxi-secrets rotate`},
		{line: `git commit -am "a new key"`},
		{line: `git muxi-secrets init --start-over`, before: `rm .key`},
		{line: `git muxi-secrets setup`},
		{line: `git muxi-secrets extract`, before: `echo '  key: hunter2-hunter2' >> formation.afs`, run: `git muxi-secrets extract --yes`},
		{line: `git muxi-secrets import .env`, before: `echo .env >> .gitignore; echo OTHER_KEY=sk-from-env > .env`, run: `git muxi-secrets import --all .env`},
		{line: `services:`, not: isText},
		{line: `  muxi:`, not: isText},
		{line: `    volumes:`, not: isText},
		{line: `      - ${FORMATIONS_DIR:-./formations}:/formations:ro`, not: isText},
		// What it finds here is the key that was committed above.
		{line: `git muxi-secrets doctor`, run: `git muxi-secrets doctor; [ $? -le 1 ]`},
		{line: `git muxi-secrets check --base origin/main --format github`, run: `git muxi-secrets check --base origin/main --format github; [ $? -le 1 ]`},
		{line: `printf %s "$FORMATION_KEY" | git muxi-secrets -C formations/my-agent key import -`, before: `cd ../.. && FORMATION_KEY=$(cat formations/my-agent/.key) && rm formations/my-agent/.key`},
		{line: `git muxi-secrets hooks uninstall`},
		{line: `git config --remove-section merge.muxi-secrets`},
		{line: `git muxi-secrets man --uninstall`},
		{line: `python3 -c 'from cryptography.fernet import Fernet; print(sorted(__import__("json").loads(Fernet(open(".key").read()).decrypt(open("secrets.enc").read()))))'`,
			before: `mkdir plain && cp formations/my-agent/formation.afs plain && cd plain && git muxi-secrets add OPENAI_API_KEY; python3() { "$PYTHON" "$@"; }`},
	}
}

// TestDocsRun types what the documents say, from the first line to the last, on a
// terminal, in a folder of its own.
func TestDocsRun(t *testing.T) {
	needs.Program(t, "bash")
	for file, steps := range map[string][]docStep{
		"README.md":                           readmeSteps(),
		"docs/man/gitmuxi-secrets-guide.7.md": guideSteps(),
	} {
		if testing.Short() && file != "README.md" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("..", file))
			must(t, err)
			lines := linesToType(string(content))
			for i := range max(len(lines), len(steps)) {
				switch {
				case i >= len(lines):
					t.Fatalf("%s has no line %q any more", file, steps[i].line)
				case i >= len(steps) || lines[i].text != steps[i].line:
					t.Fatalf("%s:%d: decide in this test how %q is run, or why it is not", file, lines[i].number, lines[i].text)
				}
			}
			runDocument(t, file, lines, steps)
		})
	}
}

func runDocument(t *testing.T, file string, lines []docLine, steps []docStep) {
	isolateProcess(t)
	home, work := os.Getenv("HOME"), filepath.Join(t.TempDir(), "clone")
	must(t, os.MkdirAll(work, 0o755))
	top, err := filepath.Abs("..")
	must(t, err)
	must(t, os.Symlink(filepath.Join(top, "testdata"), filepath.Join(work, "testdata")))
	for _, who := range []string{"ann", "bob"} {
		identity, err := age.GenerateX25519Identity()
		must(t, err)
		must(t, os.WriteFile(filepath.Join(home, who+".pub"), []byte("# "+strings.ToUpper(who[:1])+who[1:]+"\n"+identity.Recipient().String()+"\n"), 0o644))
		if who == "ann" { // whoever sits here
			keys := filepath.Join(home, ".config", "age")
			must(t, os.MkdirAll(keys, 0o700))
			must(t, os.WriteFile(filepath.Join(keys, "keys.txt"), []byte(identity.String()+"\n"), 0o600))
		}
	}
	var script strings.Builder
	for i, step := range steps {
		if step.not != "" {
			continue
		}
		if strings.HasPrefix(step.line, "python3 ") && !cryptotest.Available() {
			if os.Getenv("CI") == "true" {
				t.Fatal("python3-cryptography is not there")
			}
			t.Log("without python3-cryptography a line is left out")
			continue
		}
		command := step.run
		if command == "" {
			command = step.line
		}
		fmt.Fprintf(&script, "before() { :; %s\n}\n", step.before)
		fmt.Fprintf(&script, "before >/dev/null 2>%s || { cat %[1]s; echo '@@ failed before %d'; exit 1; }\n", "~/before", i)
		fmt.Fprintf(&script, "echo '@@ %d'\n%s\n", i, command)
		fmt.Fprintf(&script, "code=$?; [ $code = 0 ] || { echo \"@@ failed with $code\"; exit 1; }\n")
	}
	script.WriteString("echo '@@ end'\n")
	path := filepath.Join(home, "typed.sh")
	must(t, os.WriteFile(path, []byte(script.String()), 0o600))
	shell := exec.Command("bash", path)
	shell.Dir = work
	shell.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1", "GIT_EDITOR=true", "GIT_PAGER=cat", "MANPAGER=cat", "PAGER=cat", "PYTHON="+pythonFor())
	master, err := pty.StartWithSize(shell, &pty.Winsize{Rows: 24, Cols: 200})
	must(t, err)
	defer master.Close()
	stuck := time.AfterFunc(4*time.Minute, func() { shell.Process.Kill() }) // on a question that no line answers
	defer stuck.Stop()
	screen := typist.Watch(master, "hidden): ", "sk-typed-by-a-test")
	err = shell.Wait()
	shown := strings.Split(strings.ReplaceAll(screen, "\r\n", "\n"), "@@ ")
	if last := shown[len(shown)-1]; err != nil || strings.TrimSpace(last) != "end" {
		at := shown[max(len(shown)-2, 0):]
		t.Fatalf("%s: %v\n%s", file, err, strings.Join(at, "@@ "))
	}
	for i, line := range lines {
		for _, part := range shown {
			output, ok := strings.CutPrefix(part, fmt.Sprintf("%d\n", i))
			if ok && !strings.Contains(output, strings.Join(line.shows, "\n")) {
				t.Errorf("%s:%d: %q shows\n%s\nand should\n%s", file, line.number, line.text, output, strings.Join(line.shows, "\n"))
			}
		}
	}
}

// pythonFor is the Python that has the runtime's library.
func pythonFor() string {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import cryptography").Run() == nil {
			return python
		}
	}
	return "python3"
}
