//go:build unix

// picture runs the session of README.md's picture on a terminal and prints what was
// to be seen, colours included. make.sh makes session.svg of that.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/muxi-ai/git-muxi-secrets/internal/typist"
)

// columns is how wide the terminal is: a longer line goes on in the next.
const columns = 96

func main() {
	screen, err := session(filepath.Join("docs", "picture", "session.sh"), ".")
	if err == nil {
		_, err = io.WriteString(os.Stdout, screen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// session runs the script in a throw-away folder, with the program of the source
// tree at top, and returns what was seen. Nothing of the machine's own settings, and
// no date, gets into it.
func session(script, top string) (string, error) {
	script, err := filepath.Abs(script)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "picture-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	bin, home, work := filepath.Join(dir, "bin"), filepath.Join(dir, "home"), filepath.Join(dir, "work")
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "git-muxi-secrets"), ".")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	formations := filepath.Join(top, "testdata", "formations")
	for from, to := range map[string]string{"02-customer-support": "dev", "03-research-assistant": "prod"} {
		if err := os.CopyFS(filepath.Join(work, "formations", to), os.DirFS(filepath.Join(formations, from))); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	config := "[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
		return "", err
	}
	run := exec.Command("bash", script)
	run.Dir = work
	run.Env = []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + home, "TERM=xterm", "LC_ALL=C.UTF-8",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
	}
	master, err := pty.StartWithSize(run, &pty.Winsize{Rows: 50, Cols: columns})
	if err != nil {
		return "", err
	}
	defer master.Close()
	screen := typist.Watch(master, "(hidden): ", "a-value-that-nobody-sees")
	if err := run.Wait(); err != nil {
		return "", fmt.Errorf("the session failed: %w\n%s", err, screen)
	}
	return tidy(screen), nil
}

// tidy makes lines of what a terminal was sent: what moves the cursor or sets the
// terminal up goes, what colours stays.
func tidy(screen string) string {
	screen = regexp.MustCompile(`\x1b\[[?0-9;]*[A-LN-Za-ln-z]`).ReplaceAllString(screen, "")
	screen = strings.ReplaceAll(screen, "\r\n", "\n")
	var lines []string
	for line := range strings.Lines(screen) {
		line = strings.TrimRight(strings.TrimSuffix(line, "\n"), " ")
		if i := strings.LastIndexByte(line, '\r'); i >= 0 {
			line = line[i+1:]
		}
		lines = append(lines, wrap(line)...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// wrap breaks a line that is longer than the terminal, between words, since it is to
// be read. Colours take no room.
func wrap(line string) []string {
	var lines []string
	for {
		used, blank, cut := 0, 0, -1
		for i := 0; i < len(line); {
			if end := strings.IndexByte(line[i:], 'm'); strings.HasPrefix(line[i:], "\x1b[") && end > 0 {
				i += end + 1
				continue
			}
			if used == columns {
				cut = i
				break
			}
			if line[i] == ' ' {
				blank = i + 1
			}
			_, size := utf8.DecodeRuneInString(line[i:])
			used, i = used+1, i+size
		}
		if cut < 0 {
			return append(lines, line)
		}
		if blank > 4 {
			cut = blank
		}
		lines = append(lines, strings.TrimRight(line[:cut], " "))
		line = "    " + line[cut:]
	}
}
