//go:build unix

package commands_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/muxi-ai/git-muxi-secrets/commands"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// withCandidates is a repository that has something of each kind to complete:
// no key, a template, a second formation, people, a branch, a tag and a file.
func withCandidates(t *testing.T) *sandbox {
	t.Helper()
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	must(t, os.RemoveAll(b.path(".key")))
	b.write("secrets", "# a comment\nOPENAI_API_KEY=sk-...\nSTRIPE_KEY=\n")
	b.write(".age-recipients", "# Alice Doe\nage1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudh39hgs9q5q4x\n")
	recipient := strings.Fields(b.tool(t, "age-keygen"))
	for _, word := range recipient {
		if strings.HasPrefix(word, "age1") {
			b.write(".age-recipients", "# Alice Doe\n"+word+"\n")
		}
	}
	b.write("notes.txt", "nothing\n")
	other := filepath.Join(b.dir, "other")
	must(t, os.Mkdir(other, 0o755))
	must(t, os.WriteFile(filepath.Join(other, "formation.afs"), []byte("x: ${{ secrets.OTHER_TOKEN }}\n"), 0o644))
	b.git("add", "agent/secrets")
	b.git("-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-q", "-m", "one")
	b.git("branch", "release-1")
	b.git("tag", "v2.0")
	return b
}

func (b *sandbox) path(name string) string { return filepath.Join(b.dir, name) }

func TestComplete(t *testing.T) {
	b := withCandidates(t)
	before := b.tree()
	for _, test := range []struct {
		words string // the last one is being typed; separated by a space
		want  string // the candidates, separated by a space
	}{
		{"get OP", "OPENAI_API_KEY"},
		{"get ", "OPENAI_API_KEY STRIPE_KEY"},
		{"get op", ""},
		{"get STRIPE_KEY --f", "--formation"},
		{"rename STRIPE_KEY N --quiet --q", ""},
		{"rename STRIPE_KEY N", ""},
		{"-C other get ", "OTHER_TOKEN"},
		{"--formation=other get ", "OTHER_TOKEN"},
		{"-Cother get ", "OTHER_TOKEN"},
		{"get -C other ", "OTHER_TOKEN"},
		{"-C nowhere get ", "OPENAI_API_KEY STRIPE_KEY"},
		{"sha", "share"},
		{"share re", "remove"},
		{"share remove ", "Alice|Doe"},
		{"hook", "hooks"}, // not the hidden hook-run
		{"merge", ""},
		{"complet", "completion"},
		{"completion ", "bash zsh fish"},
		{"man gui", "guide"},
		{"man che", "check"},
		{"check --sta", "--staged"},
		{"check --staged --sta", ""},
		{"check --format s", "sarif"},
		{"check --format=s", "--format=sarif"},
		{"diff --format t", "text"},
		{"init --format ", "fernet age"},
		{"export --format j", "json"},
		{"convert --to f", "fernet"},
		{"copy STRIPE_KEY --to oth", "other :folders"},
		{"-C ", ". other :folders"},
		{"export --output x", ":files"},
		{"export --output=x", ":files"},
		{"add X --from-file ", ":files"},
		{"import ", ":files"},
		{"unlock -i ", ":files"},
		{"key export --to ", ":files"},
		{"man --install --prefix ", ":folders"},
		{"diff rel", "release-1"},
		{"diff HE", "HEAD"},
		{"man gui", "guide"},
		{"diff ORIG", ""},
		{"diff v2.0 rel", "release-1"},
		{"diff v2.0 release-1 v", ""},
		{"check --base v", "v2.0"},
		{"check --range v2.0..rel", "v2.0..release-1"},
		{"log -n ", ""},
		{"get -- OP", "OPENAI_API_KEY"},
		{"get -- --", ""},
		{"frobnicate ", ""},
		{"get --frobnicate ", "OPENAI_API_KEY STRIPE_KEY"},
		{"unlock --identity a --id", "--identity"}, // may be given again
	} {
		t.Run(test.words, func(t *testing.T) {
			r := b.call(run{}, append([]string{"complete", "--"}, strings.Split(test.words, " ")...)...)
			if r.code != 0 || r.err != "" {
				t.Fatalf("exit %d, says %q", r.code, r.err)
			}
			if got := strings.Join(candidates(r.out), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	b.unchangedSince(before)
}

// candidates takes the descriptions away, and blanks in a candidate.
func candidates(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		list = append(list, strings.ReplaceAll(word, " ", "|"))
	}
	return list
}

func (b *sandbox) unchangedSince(before tree) {
	b.Helper()
	if after := b.tree(); fmt.Sprint(after) != fmt.Sprint(before) {
		b.Error("files changed")
	}
}

// TestCompleteSaysNothingElse: whatever is wrong, the shell is not disturbed.
func TestCompleteSaysNothingElse(t *testing.T) {
	b := withCandidates(t)
	b.write(".age-recipients", "AGE-SECRET-KEY-nonsense\n")
	b.write("secrets.enc", "garbage")
	b.write(".key", "garbage")
	b.write(".muxi-secrets.yaml", "]")
	must(t, os.Remove(b.path("secrets")))
	must(t, os.Mkdir(b.path("secrets"), 0o755))
	for _, words := range []string{"get ", "share remove ", "-C " + t.TempDir() + " get ", "-C \x00 get ", "-C", "--", "", "diff ", "check --range ..", "-C formation.afs get "} {
		if r := b.call(run{}, append([]string{"complete", "--"}, strings.Split(words, " ")...)...); r.code != 0 || r.err != "" {
			t.Errorf("%q: exit %d, says %q", words, r.code, r.err)
		}
	}
	outside := newSandbox(t, simpleExample, false)
	if r := outside.call(run{}, "complete", "--", "get", ""); strings.Join(candidates(r.out), " ") != "OPENAI_API_KEY" {
		t.Errorf("outside of a repository: %q, %q", r.out, r.err)
	}
}

// TestCompleteKnowsEveryFlag: a flag that takes a value has its values listed,
// or stands here as one that has none to list.
func TestCompleteKnowsEveryFlag(t *testing.T) {
	b := withCandidates(t)
	none := []string{"accept", "expect", "generate", "max-count", "name"}
	for _, d := range commands.Describe() {
		if len(d.Valued) == 0 || d.Words[0] == "complete" {
			continue
		}
		for _, flag := range d.Valued {
			words := append(append([]string{"complete", "--"}, d.Words...), "--"+flag, "")
			if flag == "generate" {
				words = append(words[:len(words)-2], "--"+flag+"=")
			}
			r := b.call(run{}, words...)
			if (r.out == "") != slices.Contains(none, flag) {
				t.Errorf("%v --%s: %q", d.Words, flag, r.out)
			}
		}
	}
}

// shell is an interactive shell on a terminal of its own.
type shell struct {
	*testing.T
	master io.ReadWriter

	mu     sync.Mutex
	screen bytes.Buffer
}

// startShell starts a shell in b's folder with an empty home but for files.
func startShell(t *testing.T, b *sandbox, files map[string]string, env []string, name string, args ...string) *shell {
	t.Helper()
	home := t.TempDir()
	for path, content := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, path)), 0o755))
		must(t, os.WriteFile(filepath.Join(home, path), []byte(content), 0o644))
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "~", home)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), append([]string{
		"HOME=" + home, "ZDOTDIR=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, ".config"), "XDG_DATA_HOME=" + filepath.Join(home, ".local", "share"),
		"TERM=xterm", "PWD=" + b.dir, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "XDG_RUNTIME_DIR=" + home,
	}, env...)...)
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		needs.Missing(t, "no pseudo-terminals: %v", err)
	}
	s := &shell{T: t, master: master}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			s.mu.Lock()
			s.screen.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Process.Kill()
		cmd.Wait()
		master.Close()
		<-ended
	})
	s.waitFor("ready> ")
	return s
}

func (s *shell) waitFor(text string) {
	s.Helper()
	for range 3000 {
		s.mu.Lock()
		seen := strings.Contains(s.screen.String(), text)
		s.mu.Unlock()
		if seen {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fatalf("%q does not appear; the screen:\n%q", text, s.screen.String())
}

// completes types a line and the Tab key, and has the shell print the words
// that it then has: what is on the screen itself may be drawn in any order.
func (s *shell) completes(line, last string) {
	s.Helper()
	s.mu.Lock()
	s.screen.Reset()
	s.mu.Unlock()
	_, err := io.WriteString(s.master, line+"\t\x01printf '<%s>\\n' \r")
	must(s.T, err)
	s.waitFor("<" + last + ">")
	s.waitFor("ready> ")
}

// needShell skips a test that needs a shell, or a file that its completion
// comes in.
func needShell(t *testing.T, name string, files ...string) {
	t.Helper()
	needs.Program(t, name)
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			needs.Missing(t, "%s is needed: %v", name, err)
		}
	}
}

// inEveryShell are lines to which a shell has one answer.
func (s *shell) inEveryShell() {
	s.completes("git muxi-secrets get OP", "OPENAI_API_KEY")
	s.completes("git-muxi-secrets get OP", "OPENAI_API_KEY")
	s.completes("git muxi-secrets unl", "unlock")
	s.completes("git muxi-secrets share rem", "remove")
	s.completes("git muxi-secrets check --stag", "--staged")
	s.completes("git muxi-secrets check --format sa", "sarif")
	s.completes("git muxi-secrets check --format=sa", "--format=sarif")
	s.completes("git-muxi-secrets check --format=sa", "--format=sarif")
	s.completes("git muxi-secrets import not", "notes.txt")
	s.completes("git muxi-secrets export --output not", "notes.txt")
	s.completes("git muxi-secrets -C other get OT", "OTHER_TOKEN")
	s.completes("git muxi-secrets diff rel", "release-1")
	s.completes("git muxi-secrets check --range v2.0..rel", "v2.0..release-1")
	s.completes("git muxi-secrets share remove Al", "Alice Doe")
	s.completes("git muxi-secrets copy STRIPE_KEY --to oth", "other")
}

func completionScript(t *testing.T, b *sandbox, shell string) string {
	t.Helper()
	return b.do("", "completion", shell).out
}

// installedCompletion is what completion --install writes into a home, and the
// start file of the shell, beside others.
func installedCompletion(t *testing.T, b *sandbox, shell, home string, files map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for path, content := range files {
		all[path] = content
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, path)), 0o755))
		must(t, os.WriteFile(filepath.Join(home, path), []byte(content), 0o644))
	}
	env := []string{"HOME=" + home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "ZDOTDIR=", "BASH_COMPLETION_USER_DIR="}
	if r := b.spawn(run{env: env}, "completion", shell, "--install"); r.code != 0 {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	must(t, filepath.WalkDir(home, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(home, path)
		all[rel] = strings.ReplaceAll(string(content), home, "~")
		return err
	}))
	return all
}

const (
	bashCompletion    = "/usr/share/bash-completion/bash_completion"
	bashGitCompletion = "/usr/share/bash-completion/completions/git"
)

func TestCompletionInBash(t *testing.T) {
	needShell(t, "bash", bashCompletion, bashGitCompletion)
	b := withCandidates(t)
	script := completionScript(t, b, "bash")
	for name, files := range map[string]map[string]string{
		"found by its name": {
			"rc": "PS1='ready> '\n. " + bashCompletion + "\n",
			".local/share/bash-completion/completions/git-muxi-secrets": script,
		},
		"read at the start": {
			"rc": "PS1='ready> '\n. " + bashCompletion + "\n. ~/script\n", "script": script,
		},
		"installed": installedCompletion(t, b, "bash", t.TempDir(), map[string]string{"rc": "PS1='ready> '\n. " + bashCompletion + "\n"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := startShell(t, b, files, nil, "bash", "--noprofile", "--rcfile", "~/rc", "-i")
			s.inEveryShell()
			s.completes("git -C other muxi-secrets get OT", "OTHER_TOKEN")
			s.completes("git muxi-secrets get not", "not") // no file's name where none is meant
			s.completes("git muxi-s", "muxi-secrets")
		})
	}
}

func TestCompletionInZsh(t *testing.T) {
	needShell(t, "zsh")
	b := withCandidates(t)
	script := completionScript(t, b, "zsh")
	for name, files := range map[string]map[string]string{
		"found by its name": {
			".zshrc":                   "PS1='ready> '\nfpath=(~/.zfunc $fpath)\nautoload -U compinit; compinit -u -D\n",
			".zfunc/_git-muxi-secrets": script,
		},
		"read at the start": {
			".zshrc": "PS1='ready> '\nautoload -U compinit; compinit -u -D\n. ~/script\n", "script": script,
		},
		"installed": installedCompletion(t, b, "zsh", t.TempDir(), map[string]string{".zshrc": "PS1='ready> '\nautoload -U compinit; compinit -u -D\n"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := startShell(t, b, files, nil, "zsh", "-i")
			s.inEveryShell()
			s.completes("git -C other muxi-secrets get OT", "OTHER_TOKEN")
			if name != "read at the start" { // by its name, in $fpath
				s.completes("git muxi-s", "muxi-secrets")
			}
		})
	}
}

func TestCompletionInFish(t *testing.T) {
	needShell(t, "fish")
	b := withCandidates(t)
	script := completionScript(t, b, "fish")
	const prompt = "set -g fish_greeting\nfunction fish_prompt; echo -n 'ready> '; end\n"
	for name, files := range map[string]map[string]string{
		"in conf.d": {
			".config/fish/config.fish":                  prompt,
			".config/fish/conf.d/git-muxi-secrets.fish": script,
		},
		"read at the start": {
			".config/fish/config.fish": prompt + script,
		},
		"installed": installedCompletion(t, b, "fish", t.TempDir(), map[string]string{".config/fish/config.fish": prompt}),
	} {
		t.Run(name, func(t *testing.T) {
			s := startShell(t, b, files, nil, "fish", "--private", "-i")
			s.inEveryShell()
			s.completes("git muxi-s", "muxi-secrets")
		})
	}
}
