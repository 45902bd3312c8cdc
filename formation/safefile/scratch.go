package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Scratch is a folder for files that must not stay. It is its user's alone, where
// there is one in memory, and goes with Close; where the process is killed,
// SweepScratch removes it.
type Scratch struct {
	Dir string
	// InMemory says that nothing of it reaches a disk.
	InMemory bool

	place string
	lock  *Lock
}

// scratchPrefix begins the names of scratch folders, in a place of their own.
const scratchPrefix = "scratch-"

// scratchLock is held by the process whose scratch folder it is.
const scratchLock = "lock"

// NewScratch makes a scratch folder below the first of places that takes one, those in
// memory before others: each is a folder that is made if need be, and whose parent is
// there.
func NewScratch(places []string) (*Scratch, error) {
	onDisk := slices.DeleteFunc(slices.Clone(places), func(place string) bool { return inMemory(filepath.Dir(place)) })
	places = slices.DeleteFunc(slices.Clone(places), func(place string) bool { return slices.Contains(onDisk, place) })

	var refused error
	for _, place := range append(places, onDisk...) {
		for range 5 { // SweepScratch may take one that has no lock yet
			s, err := newScratch(place)
			if err == nil {
				return s, nil
			}
			refused = &Error{"create", place, err}
			if !errors.Is(err, errSwept) {
				break
			}
		}
	}
	if refused == nil {
		refused = &Error{"create", "a scratch folder", fs.ErrNotExist}
	}
	return nil, refused
}

var (
	errSwept  = errors.New("another process removed it")
	errShared = errors.New("it is not a folder of your own alone")
)

func newScratch(place string) (*Scratch, error) {
	if err := makePlace(place); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(place, scratchPrefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errSwept // the place was empty
	}
	if err != nil {
		return nil, err
	}
	made, err := os.Lstat(dir)
	if err != nil {
		return nil, errSwept
	}

	lock, err := lockScratch(dir)
	if errors.Is(err, errBusy) || errors.Is(err, fs.ErrNotExist) {
		return nil, errSwept
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if now, err := os.Lstat(dir); err != nil || !os.SameFile(made, now) {
		lock.Release()
		return nil, errSwept // between the two
	}
	return &Scratch{Dir: dir, InMemory: inMemory(dir), place: place, lock: lock}, nil
}

// lockScratch takes the lock of a scratch folder; errBusy: its process is at work. It
// makes no folder where there is none any more.
func lockScratch(dir string) (*Lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, scratchLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(file); err != nil {
		file.Close()
		return nil, err
	}
	return &Lock{file}, nil
}

// makePlace makes the folder that scratch folders lie in. In one that others may
// write, nobody else may have made it.
func makePlace(place string) error {
	above, err := os.Stat(filepath.Dir(place))
	if err != nil {
		return err
	}
	if !ownedByUser(above) && above.Mode()&fs.ModeSticky == 0 {
		return errShared
	}
	if err := os.Mkdir(place, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if own, err := ownPlace(place); err != nil {
		return errSwept // it was empty
	} else if !own {
		return errShared
	}
	return nil
}

// ownPlace reports whether a place is a folder of the user's alone.
func ownPlace(place string) (bool, error) {
	info, err := os.Lstat(place)
	return err == nil && info.IsDir() && ownedByUser(info) && (OnWindows || info.Mode().Perm()&0o077 == 0), err
}

// Close removes the folder and all that is in it.
func (s *Scratch) Close() error {
	if s.lock == nil {
		return nil
	}
	s.lock.Release()
	s.lock = nil
	err := os.RemoveAll(s.Dir)
	os.Remove(s.place) // unless another one is in it
	if err != nil {
		return &Error{"remove", s.Dir, err}
	}
	return nil
}

// SweepScratch removes the scratch folders whose processes are gone. Where there is
// none it costs one look at each place.
func SweepScratch(places []string) {
	for _, place := range places {
		entries, err := os.ReadDir(place)
		if err != nil {
			continue
		}
		if own, _ := ownPlace(place); !own {
			continue
		}
		for _, entry := range entries {
			if entry.IsDir() && strings.HasPrefix(entry.Name(), scratchPrefix) {
				sweepScratch(filepath.Join(place, entry.Name()))
			}
		}
		os.Remove(place)
	}
}

func sweepScratch(dir string) {
	lock, err := lockScratch(dir)
	if err != nil {
		return // it is at work
	}
	defer lock.Release()
	if OnWindows {
		lock.Release() // an open file stays there
	}
	os.RemoveAll(dir)
}

// ScratchPlace is the name of a place for scratch folders in a folder that may be
// everybody's.
func ScratchPlace(folder string) string {
	return filepath.Join(folder, fmt.Sprintf("git-muxi-secrets-edit-%d", os.Geteuid()))
}
