package scan

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/muxi-ai/git-muxi-secrets/scan/scantest"
)

// A stream has the findings that its text has as a message, wherever the windows
// end.
func TestStream(t *testing.T) {
	s := knownScanner()
	for _, before := range []int{0, 1, window - lookAhead - 7, window - lookAhead, window - 5, window + 3, 2*window - 2*lookAhead - 9} {
		for _, unit := range []string{"a line of a log\n", "a long line "} {
			filler := strings.Repeat(unit, before/len(unit)+1)[:before]
			text := filler + " hunter2-hunter2 " + keyOf("github") + "\n" + filler + scantest.Percent("hunter2-hunter2") + " é hunter2-hunter2\n"
			want := s.Message([]byte(text))
			for i := range want {
				want[i].Where, want[i].start, want[i].end = InText, 0, 0
			}
			got, _, size, err := s.Stream(iotest.HalfReader(strings.NewReader(text)))
			if err != nil || size != int64(len(text)) || len(want) != 4 || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%d bytes before: %v\n%s\nwant\n%s", before, err, summary(got), summary(want))
			}
		}
	}
	wide := append([]byte("\xff\xfe"), utf16le("x\nhunter2-hunter2\n")...)
	for _, text := range [][]byte{wide, wide[2:], append([]byte("\xfe\xff"), utf16be("x\nhunter2-hunter2\n")...)} {
		if got, _, _, err := s.Stream(bytes.NewReader(text)); err != nil || len(got) != 1 || got[0].Line != 2 || got[0].Column != 1 {
			t.Errorf("UTF-16: %v%s", err, summary(got))
		}
	}
	if got, _, size, err := s.Stream(strings.NewReader("")); err != nil || size != 0 || got != nil {
		t.Error("nothing was read, and something found")
	}
	if _, _, _, err := s.Stream(iotest.ErrReader(fmt.Errorf("broken"))); err == nil {
		t.Error("a reader's error is lost")
	}
}

// A value in a file's or a ref's name is found, and never shown.
func TestNames(t *testing.T) {
	s := knownScanner()
	for _, c := range []struct{ name, shown string }{
		{"docs/hunter2-hunter2.md", "docs/****.md"},
		{"a/hunter2-hunter2/b-hunter2-hunter2", "a/****/b-****"},
		{"x/" + keyOf("github") + ".txt", "x/****.txt"},
		{"a%20" + scantest.Percent("hunter2-hunter2") + ".md", "a%20****.md"},
		{"plain/name.md", "plain/name.md"},
	} {
		if got := s.Shown(c.name); got != c.shown {
			t.Errorf("%s is shown for %s", got, c.shown)
		}
		leaks := strings.Count(c.shown, "****")
		found := s.File(c.name, []byte("x: hunter2-hunter2\n"), Regular)
		if len(found) != leaks+1 || found[len(found)-1].Path != c.shown || found[len(found)-1].Where != "" || found[len(found)-1].Line != 1 {
			t.Errorf("%s: %+v", c.shown, found)
		}
		seen := map[string]bool{}
		for _, f := range found {
			if noValue(t, []Finding{f}, "hunter2-hunter2"); seen[f.Fingerprint] || strings.Contains(f.Path, "hunter2") {
				t.Errorf("%s: %+v", c.shown, f)
			}
			seen[f.Fingerprint] = true
		}
		for ref, where := range map[string]Where{"refs/heads/": InBranch, "refs/tags/": InTag, "refs/notes/": InRef} {
			found := s.Ref(ref + c.name)
			if len(found) != leaks || leaks > 0 && (found[0].Path != "" || found[0].Where != where) {
				t.Errorf("%s%s: %+v", ref, c.shown, found)
			}
		}
	}
	if found := s.File("hunter2-hunter2/.key", nil, Regular); len(found) != 2 || found[1].Rule != KeyFile || found[1].Path != "****/.key" {
		t.Errorf("%+v", found)
	}
}
