// Package paths answers what every room asks of a path on this machine: where it
// really leads, whether it lies below a folder, whether anything is there, and
// how a shell has it written.
package paths

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Real makes a path absolute and resolves the links in it. Where the file is not
// there, those in the folders above that are; a link to nowhere stays.
func Real(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = filepath.Clean(path) // the current folder is gone
	}
	real, err := filepath.EvalSymlinks(abs)
	if err == nil {
		return real
	}
	if up := filepath.Dir(abs); up != abs {
		return filepath.Join(Real(up), filepath.Base(abs))
	}
	return abs
}

// From is a path that somebody in the folder dir gave, absolute.
func From(dir, path string) string {
	switch {
	case filepath.IsAbs(path):
		return filepath.Clean(path)
	case path != "" && os.IsPathSeparator(path[0]):
		return filepath.Clean(filepath.VolumeName(dir) + path) // Windows: on dir's drive
	}
	return filepath.Join(dir, path)
}

// Place is Real for all but the last name: where a file itself is, be it a link.
func Place(path string) string {
	path = filepath.Clean(path)
	return filepath.Join(Real(filepath.Dir(path)), filepath.Base(path))
}

// Below gives a path relative to a folder that it is or lies in, with '/'; "."
// for the folder itself. Both are taken as they are written: compare real ones
// where there may be links.
func Below(dir, path string) (rel string, ok bool) {
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// Within tells whether a path is a folder, or lies below it (see Below).
func Within(dir, path string) bool {
	_, ok := Below(dir, path)
	return ok
}

// Exists tells a file that is there (even as a broken link) from one that is
// not; any other failure is an error, so that "cannot look" is never "absent".
func Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, err
}

// There is Exists where it is of no interest why a file cannot be looked at: such
// a one counts as absent.
func There(path string) bool {
	there, err := Exists(path)
	return err == nil && there
}

// plain are the characters that no shell takes for more than themselves.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+,=@:%"

// Quote makes one word of a POSIX shell of any text, in quotes where it needs
// them.
func Quote(text string) string {
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return QuoteAlways(text)
}

// Escape is Quote with backslashes, for a word inside a text that has quotes
// around it.
func Escape(text string) string {
	if text == "" || strings.ContainsAny(text, "\n\r") {
		return QuoteAlways(text) // which a backslash cannot keep
	}
	var b strings.Builder
	for _, r := range text {
		if !strings.ContainsRune(plain, r) && r < 0x80 {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// QuoteAlways is Quote with quotes in any case.
func QuoteAlways(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
