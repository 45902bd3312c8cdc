package commands

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

func TestColoursWhere(t *testing.T) {
	for _, test := range []struct {
		name     string
		terminal bool
		env      map[string]string
		plain    bool
		args     []string
		want     bool
	}{
		{name: "terminal", terminal: true, want: true},
		{name: "pipe"},
		{name: "NO_COLOR", terminal: true, env: map[string]string{"NO_COLOR": "0"}},
		{name: "NO_COLOR empty", terminal: true, env: map[string]string{"NO_COLOR": ""}, want: true},
		{name: "dumb", terminal: true, env: map[string]string{"TERM": "dumb"}},
		{name: "old console", terminal: true, plain: true},
		{name: "flag", terminal: true, args: []string{"--no-color"}},
		{name: "flag with a value", terminal: true, args: []string{"--no-color=true"}},
		{name: "flag off", terminal: true, args: []string{"--no-color=false"}, want: true},
		{name: "argument", terminal: true, args: []string{"--", "--no-color"}, want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, watched := range []struct{ out, err bool }{{true, true}, {true, false}, {false, true}} {
				env := &Env{
					Out: io.Discard, Err: io.Discard, Getenv: func(name string) string { return test.env[name] }, PlainTerminal: test.plain,
					OutIsTerminal: test.terminal && watched.out, ErrIsTerminal: test.terminal && watched.err,
				}
				env.watch(append([]string{"git-muxi-secrets", "list"}, test.args...))
				for _, stream := range []struct {
					w       io.Writer
					watched bool
				}{{env.Out, watched.out}, {env.Err, watched.err}} {
					want := "text"
					if test.want && stream.watched {
						want = "\x1b[31mtext\x1b[m"
					}
					if got := paint(stream.w, red, "text"); got != want {
						t.Errorf("%+v: %q, want %q", watched, got, want)
					}
				}
			}
		})
	}
	if got := paint(&bytes.Buffer{}, red, "text"); got != "text" {
		t.Errorf("another writer: %q", got)
	}
}

// TestColourIsAllThatDiffers: with colour taken out, what a terminal gets is what a
// pipe gets.
func TestColourIsAllThatDiffers(t *testing.T) {
	for _, args := range [][]string{{"nosuch"}, {"list", "--nosuch"}, {"get"}, {"check", "--staged", "--history"}, {"-h"}, {"--version"}} {
		show := func(terminal bool) string {
			var b bytes.Buffer
			env := &Env{
				In: strings.NewReader(""), Out: &b, Err: &b, OutIsTerminal: terminal, ErrIsTerminal: terminal, Now: time.Now, Dir: t.TempDir(),
				Getenv:   func(string) string { return "" },
				Terminal: func() (*tty.Terminal, error) { return nil, tty.ErrNoTerminal },
			}
			Run(context.Background(), env, append([]string{"git-muxi-secrets"}, args...))
			return b.String()
		}
		plain, coloured := show(false), show(true)
		if strings.Contains(plain, "\x1b") {
			t.Errorf("%v: colour without a terminal", args)
		}
		for _, as := range []style{red, green, yellow, cyan, strong, dim, ""} {
			coloured = strings.ReplaceAll(coloured, "\x1b["+string(as)+"m", "")
		}
		if coloured != plain {
			t.Errorf("%v: %q, and without colour %q", args, coloured, plain)
		}
	}
}

// clock is a time that goes on by a second whenever it is asked for.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { c.now = c.now.Add(time.Second); return c.now }

func TestProgress(t *testing.T) {
	for _, test := range []struct {
		name     string
		terminal bool
		quiet    bool
		term     string
		slow     bool
		want     string
	}{
		{name: "slow", terminal: true, slow: true, want: "\rchecking: 1 files, 2 commits\x1b[K\rchecking: 3 files, 4 commits\x1b[K\r\x1b[Kdone\n"},
		{name: "fast", terminal: true, want: "done\n"},
		{name: "pipe", slow: true, want: "done\n"},
		{name: "quiet", terminal: true, quiet: true, slow: true, want: "done\n"},
		{name: "dumb", terminal: true, slow: true, term: "dumb", want: "done\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			now := time.Now
			if test.slow {
				now = (&clock{}).Now
			} else {
				start := time.Unix(0, 0)
				now = func() time.Time { return start }
			}
			env := &Env{Out: io.Discard, Err: &b, ErrIsTerminal: test.terminal, Now: now, Getenv: func(name string) string {
				return map[string]string{"TERM": test.term}[name]
			}}
			env.watch(nil)
			s := &session{Env: env, quiet: test.quiet}
			p := s.progress()
			p.tell(1, 2)
			p.tell(3, 4)
			io.WriteString(s.Err, "done\n") // clears the line by itself
			p.clear()
			if got := b.String(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestProgressFitsALine: a line that wraps could not be taken back.
func TestProgressFitsALine(t *testing.T) {
	var b bytes.Buffer
	env := &Env{Out: io.Discard, Err: &b, ErrIsTerminal: true, Now: (&clock{}).Now, Getenv: func(string) string { return "" }, Columns: func() int { return 20 }}
	env.watch(nil)
	(&session{Env: env}).progress().show("%s", strings.Repeat("long ", 20)+"\x1b[31m")
	if got, want := b.String(), "\rlong long …g long \ufffd[31m"; len(got) > 40 || strings.Count(got, "\x1b") != 1 {
		t.Errorf("%q, want something like %q", got, want)
	}
}

func TestTextWidth(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "生产环境": 8, "ｱｲｳ": 3, "ＡＢ": 4, "한국": 4, "한": 2,
		"🔑": 2, "✅": 2, "→…": 2, "a\u200bb": 2, "\u00ad": 1, "🇩🇪": 2, "❤️": 1, "नमस्ते": 4, "𠀀": 2, "﷽": 1,
	} {
		if got := textWidth(text); got != want {
			t.Errorf("%q takes %d columns, want %d", text, got, want)
		}
	}
}

// TestTextWidthIsUnicodes compares every character with Python's copy of the
// Unicode database, as far as both know it.
func TestTextWidthIsUnicodes(t *testing.T) {
	python := needs.Program(t, "/usr/bin/python3", "python3")
	out, err := exec.Command(python, "-c", `import unicodedata as u
def width(c):
    if u.category(c) in ("Cn", "Cs", "Co", "Cc"): return "?"
    if u.category(c) in ("Mn", "Me", "Cf"): return "0"
    return "2" if u.east_asian_width(c) in "WF" else "1"
print("".join(width(chr(c)) for c in range(0x110000)))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for r, theirs := range bytes.TrimSpace(out) {
		switch r := rune(r); {
		case theirs == '?', r < 0x300, r >= 0x1160 && r <= 0x11ff: // vowels and finals, which join the wide one before
			continue
		case runeWidth(r) != int(theirs-'0'):
			t.Errorf("%U takes %d columns, Python says %c", r, runeWidth(r), theirs)
		}
		known++
	}
	if known < 130_000 {
		t.Errorf("Python knows %d characters", known)
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"OPENAI_API_KEY", 14, "OPENAI_API_KEY"},
		{"OPENAI_API_KEY", 13, "OPENAI…PI_KEY"},
		{"OPENAI_API_KEY", 5, "OP…EY"},
		{"OPENAI_API_KEY", 2, "O…"},
		{"OPENAI_API_KEY", 1, "…"},
		{"OPENAI_API_KEY", 0, ""},
		{"生产环境的密钥", 9, "生产…密钥"},
		{"生产环境的密钥", 8, "生产…钥"},
		{"生产", 1, "…"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301…e\u0301"},
	} {
		got := cut(test.text, test.width)
		if got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.text, test.width, got, test.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("OPENAI_API_KEY", 7)
	f.Add("生产e\u0301🔑", 3)
	f.Add("\u0301\u0301\u0301", 0)
	f.Add("\xff\xfe", 1)
	f.Fuzz(func(t *testing.T, text string, width int) {
		got := cut(text, width)
		if wide := textWidth(got); wide > max(width, 0) {
			t.Errorf("%q in %d takes %d columns", text, width, wide)
		}
		if textWidth(text) <= width && got != text {
			t.Errorf("%q fits in %d and became %q", text, width, got)
		}
	})
}
