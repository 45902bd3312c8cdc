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
