package crypto

import (
	"errors"
	"strings"
)

// Reason says why a key could not be read or sealed bytes could not be opened.
// Its text is a lower-case phrase for people.
type Reason string

const (
	// WrongKey: the key does not fit, or a byte of the file was changed. An
	// authenticated cipher cannot tell the two apart.
	WrongKey Reason = "wrong key"
	// MalformedKey: the bytes are no key in any known spelling.
	MalformedKey Reason = "malformed key"
	// EmptyKey: the key file holds nothing but blanks.
	EmptyKey Reason = "malformed key, an empty one"
	// Truncated: bytes of the sealed file are missing (or were added).
	Truncated Reason = "truncated"
	// NotSealed: the bytes are no sealed file: JSON, YAML, text.
	NotSealed Reason = "not encrypted at all"
	// MergeMarkers: git left its conflict markers in the sealed file.
	MergeMarkers Reason = "merge markers"
	// Filtered: what a filter of git's made of the sealed file, and not the file: the
	// pointer of Git LFS, or what git-crypt made of it.
	Filtered Reason = "filtered by git"
	// EmptyFile: the sealed file holds nothing but blanks.
	EmptyFile Reason = "empty file"
)

// IsDamage reports whether the bytes are no sealed file, so that no key would open
// them.
func (r Reason) IsDamage() bool {
	switch r {
	case Truncated, NotSealed, MergeMarkers, Filtered, EmptyFile:
		return true
	}
	return false
}

// Error is the one error type of this package for bytes that do not read. No
// part of a key, a plaintext or a sealed file is in it.
type Error struct {
	Reason Reason
	Detail string // a lower-case phrase without a full stop
	Err    error  // the cause, where there is one to inspect; often nil
}

// Error returns the reason and the detail, once where the detail repeats it.
func (e *Error) Error() string {
	if e.Detail == "" || strings.HasPrefix(e.Detail, string(e.Reason)) {
		return string(e.Reason) + strings.TrimPrefix(e.Detail, string(e.Reason))
	}
	return string(e.Reason) + ": " + e.Detail
}

func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of the first [*Error] in err's chain, or "".
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

func wrongKey(cause error) *Error {
	return &Error{WrongKey, "wrong key, or a damaged file", cause}
}
