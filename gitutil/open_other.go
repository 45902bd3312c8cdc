//go:build !unix

package gitutil

import (
	"errors"
	"io/fs"
)

const openNoFollow = 0

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
