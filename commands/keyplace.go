package commands

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// inItsPlace reports whether something lies in the place of a .key that is none: a
// file, a folder (as Docker makes one for a mount of a file that is not there), a link
// to nowhere. No other place is looked at then before a person says so.
func inItsPlace(err error) bool {
	if _, ok := errors.AsType[*formation.KeyError](err); ok {
		return true
	}
	if missing, ok := errors.AsType[*formation.NoKeyError](err); ok {
		return missing.Link != ""
	}
	file, ok := errors.AsType[*safefile.Error](err)
	return ok && filepath.Base(file.Path) == formation.KeyFile && !errors.Is(err, fs.ErrPermission)
}

// replaceKey has the batch put a key in place of what was read there. A .key that
// cannot be read, or is no key, goes: this one opens the vault.
func (w *writing) replaceKey(content []byte, wasErr error) error {
	file := w.Path(formation.KeyFile)
	info, err := os.Lstat(file)
	switch {
	case wasErr == nil || err != nil:
	case info.IsDir(), info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		// Nothing is in an empty folder or a pipe that could be lost.
		if err := os.Remove(file); err != nil {
			return failed(wasErr, "'%s' is a folder, and not an empty one; nothing was changed", w.s.show(file)).
				hint("move it away: '%s'", w.s.shell().Move(w.s.argument(file), w.s.argument(file+".moved")))
		}
	case info.Mode()&fs.ModeSymlink == 0:
	case isNoKey(wasErr), cameWithCommit(wasErr):
		// The link itself: it leads to nothing, or to what whoever made the commit chose.
		return w.batch.Put(file, content, 0o600)
	default:
		// It may lead to any file.
		return failed(wasErr, "'%s' is a symbolic link, and what it leads to holds no key; nothing was changed", w.s.show(file)).
			hint("if that file is of no use, remove the link: '%s'", w.s.shell().Remove(w.s.argument(file)))
	}
	return w.batch.ReplacePrivate(file, content)
}

func isNoKey(err error) bool {
	_, ok := errors.AsType[*formation.NoKeyError](err)
	return ok
}

func cameWithCommit(err error) bool {
	_, ok := errors.AsType[*formation.ArrivedKeyError](err)
	return ok
}
