package commands

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
)

// FuzzComplete: whatever was typed, each line is a candidate that begins with
// it or one of the shell's, and nothing else is said.
func FuzzComplete(f *testing.F) {
	for _, line := range []string{"", "get OP", "check --format=s", "-C . get -- --x", "share remove \xff", "--range a..b", "diff : ", "-C= -", "key export --to"} {
		f.Add(line)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		var out, errs bytes.Buffer
		env := &Env{
			In: strings.NewReader(""), Out: &out, Err: &errs, Dir: dir, Getenv: func(string) string { return "" },
			Terminal: func() (*tty.Terminal, error) { return nil, tty.ErrNoTerminal },
		}
		if code := Run(context.Background(), env, append([]string{"git-muxi-secrets", "complete", "--"}, words...)); code != 0 || errs.Len() > 0 {
			t.Fatalf("exit %d, says %q", code, errs.String())
		}
		last := words[len(words)-1]
		for candidate := range strings.Lines(out.String()) {
			word, _, _ := strings.Cut(strings.TrimSuffix(candidate, "\n"), "\t")
			if word != shellFiles && word != shellFolders && !strings.HasPrefix(word, last) {
				t.Errorf("%q is offered for %q", word, last)
			}
		}
	})
}

// FuzzPlainPage: a page that is no page is set as text all the same.
func FuzzPlainPage(f *testing.F) {
	f.Add([]byte(".SH NAME\nx \\- y\n.PP\n.IP \\(bu 2\none\n.TP\nterm\n.EX\n code\n.EE\n"))
	f.Add([]byte(".IP\n.TP\n.EX\n\\"))
	f.Fuzz(func(t *testing.T, roff []byte) {
		if text := plainPage(roff); strings.Contains(text, unbroken) && !bytes.Contains(roff, []byte(unbroken)) {
			t.Errorf("%q", text)
		}
	})
}
