package gitutil

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"
)

// A listing that ends in the middle of a field is no listing that ended.
func TestFields(t *testing.T) {
	long := strings.Repeat("long", 100) // longer than the buffer
	for _, tt := range []struct {
		text string
		want []string
		err  error
	}{
		{"", nil, io.EOF},
		{"a\x00\x00b\x00", []string{"a", "", "b"}, io.EOF},
		{"a\x00" + long + "\x00b\x00", []string{"a", long, "b"}, io.EOF},
		{"a\x00b", []string{"a"}, io.ErrUnexpectedEOF},
		{long, nil, io.ErrUnexpectedEOF},
	} {
		f := &fields{r: bufio.NewReaderSize(strings.NewReader(tt.text), 16)}
		var got []string
		field, err := f.next()
		for ; err == nil && len(got) < 9; field, err = f.next() {
			got = append(got, string(field))
		}
		if !slices.Equal(got, tt.want) || err != tt.err {
			t.Errorf("%.10q: %.10q and then %v", tt.text, got, err)
		}
	}
}

// A listing in another form is no empty one.
func TestParseEntry(t *testing.T) {
	e, err := parseEntry([]byte("100755 1234 2\ta\tb"))
	if err != nil || e.mode != ModeExec || e.columns != [2]string{"1234", "2"} || string(e.path) != "a\tb" {
		t.Errorf("%v, %v", e, err)
	}
	for _, record := range []string{"", "100644 1234 0", "100644 1234\ta", "100644 1234 0 0\ta", "1x 1234 0\ta"} {
		if e, err := parseEntry([]byte(record)); err == nil {
			t.Errorf("%q is read as %v", record, e)
		}
	}
}

// A log that ends before a commit is whole, wherever that is, is an error.
func TestLogCutShort(t *testing.T) {
	id, other, none := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("0", 40)
	change := "\x00:000000 100644 " + none + " " + other + " A\x00a/secrets.enc\x00"
	commit := func(parents string) string {
		return strings.Join([]string{id, parents, "a", "a@b", "1700000000 +0000", "x"}, "\x00")
	}
	read := func(text string, all bool) (seen []string, err error) {
		err = parseLog(&fields{r: bufio.NewReader(strings.NewReader(text))}, all, func(e *LogEntry) error {
			seen = append(seen, e.Hash)
			return nil
		})
		return seen, err
	}
	fields := strings.SplitAfter(commit(other)+"\x00"+change, "\x00")
	for n := range len(fields) {
		seen, err := read(strings.Join(fields[:n], ""), false)
		whole := n == 6 || n == 7 || n >= 9 // the commit, without its change, a line end, and with it
		if n == 0 && err == io.EOF {
			continue
		}
		if whole != (err == nil || err == io.EOF) || !whole && len(seen) > 0 {
			t.Errorf("%d fields: %v, %v", n, seen, err)
		}
	}
	merge := commit(other + " " + none)
	if _, err := read(merge+"\x00"+change, false); err == nil {
		t.Error("a merge that is compared with one parent of two")
	}
	if seen, err := read(merge+"\x00"+change+merge+"\x00"+change, false); err != nil || len(seen) != 1 {
		t.Errorf("a merge: %v, %v", seen, err)
	}
}
