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
