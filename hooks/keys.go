package hooks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Keys finds a key for any version of a vault: that of a commit from before a
// rotation, of a branch, of a folder that had another name. It reads files and
// the index, asks nobody, and writes nothing. What it found it remembers. It may
// be used by several goroutines.
type Keys struct {
	// Unwrap opens a .key.age and returns the bytes of the .key in it; nil: there
	// is nobody to do it. It must never ask a person.
	Unwrap func(wrapped []byte) ([]byte, error)

	ctx    context.Context // of the one question to git
	layout gitutil.Layout
	repo   gitutil.Repository // nil: the folder alone

	mu        sync.Mutex
	last      map[string]*crypto.Key // by folder: the one that opened last
	own       map[string]ownKey
	unwrapped map[[32]byte]*crypto.Key // by the sum of what was unwrapped; nil: it does not open
	ring      func() []*crypto.Key
	beside    func() []*crypto.Key
	stray     func() []*crypto.Key
}

// ownKey is the .key of a folder, with the bytes that its owner has of it.
type ownKey struct {
	content []byte
	key     *crypto.Key
	err     error
}

// NewKeys prepares the search in a repository; nothing is read yet. A nil
// repository means a folder outside of any: top, then, is where paths start.
// ctx is that of the whole run.
func NewKeys(ctx context.Context, repo gitutil.Repository, top string) *Keys {
	k := &Keys{ctx: ctx, repo: repo, layout: gitutil.Layout{Top: top}, last: map[string]*crypto.Key{}, own: map[string]ownKey{}, unwrapped: map[[32]byte]*crypto.Key{}}
	if repo != nil {
		k.layout = repo.Layout()
	}
	k.ring = sync.OnceValue(k.readRing)
	k.beside = sync.OnceValue(k.readBeside)
	k.stray = sync.OnceValue(k.readStray)
	return k
}

// Open opens the bytes of a secrets.enc with the first key that fits: the one
// that fitted the last version at this path; the .key of its folder in the work
// tree; the retired ones; the .key beside any other formation file of the index,
// or wherever else in the work tree one lies (a folder that was renamed by a
// pull leaves its own behind); last, the one that is wrapped in the .key.age of
// that version. file is the path of secrets.enc from the top, with /; "" where
// it is not known. wrapped gives the .key.age, nil where there is none; it may
// itself be nil.
//
// The key that fitted is returned. Errors: a *crypto.Error where the bytes are
// no sealed file; a *formation.ContentError, with the key, where what a key
// opens is no vault; where none fits, what the folder's own key says
// (*crypto.Error, *formation.KeyError, *formation.FileError), or, where it has
// none, a *formation.NoKeyError.
func (k *Keys) Open(file string, sealed []byte, wrapped func() []byte) (*formation.Vault, *crypto.Key, error) {
	plaintext, key, err := k.open(file, sealed, func() [][]byte {
		if wrapped == nil {
			return nil
		}
		return [][]byte{wrapped()}
	})
	if err != nil {
		return nil, nil, err
	}
	vault, err := formation.DecodeVault(plaintext)
	return vault, key, err
}

// open is Open without a look at what is inside.
func (k *Keys) open(file string, sealed []byte, wrapped func() [][]byte) (plaintext []byte, key *crypto.Key, err error) {
	plaintext, key, err = k.openNear(file, sealed)
	if err == nil {
		return plaintext, key, nil
	}
	if _, broken := crypto.Detect(sealed); broken != nil {
		return nil, nil, broken // no key opens it
	}
	for _, more := range []func() []*crypto.Key{k.beside, k.stray, func() []*crypto.Key { return k.unwrap(wrapped()) }} {
		if plaintext, key := k.try(file, sealed, more()...); key != nil {
			return plaintext, key, nil
		}
	}
	return nil, nil, err
}

// openNear is open with the keys that are found without a search, and without a
// question to git.
func (k *Keys) openNear(file string, sealed []byte) (plaintext []byte, key *crypto.Key, err error) {
	k.mu.Lock()
	last := k.last[path.Dir(file)]
	k.mu.Unlock()
	if plaintext, key := k.try(file, sealed, last); key != nil {
		return plaintext, key, nil
	}
	own := k.ownKey(file)
	if own.key != last {
		if plaintext, key := k.try(file, sealed, own.key); key != nil {
			return plaintext, key, nil
		}
	}
	if plaintext, key := k.try(file, sealed, k.ring()...); key != nil {
		return plaintext, key, nil
	}
	if own.err == nil {
		_, own.err = own.key.Open(sealed)
	}
	return nil, nil, own.err
}

// try opens with the first of these keys that fits; nil ones are passed over. No
// key: none fits.
func (k *Keys) try(file string, sealed []byte, keys ...*crypto.Key) ([]byte, *crypto.Key) {
	for _, key := range keys {
		if key == nil {
			continue
		}
		if plaintext, err := key.Open(sealed); err == nil {
			k.mu.Lock()
			k.last[path.Dir(file)] = key
			k.mu.Unlock()
			return plaintext, key
		}
	}
	return nil, nil
}

// Current is the .key beside a file (its path from the top, with /), or that of
// the main work tree's folder; nil where there is none, or no usable one.
func (k *Keys) Current(file string) *crypto.Key { return k.ownKey(file).key }

// File is Current with the very bytes of the .key.
func (k *Keys) File(file string) ([]byte, *crypto.Key) {
	own := k.ownKey(file)
	return own.content, own.key
}

// ownKey reads the .key of a file's folder once.
func (k *Keys) ownKey(file string) ownKey {
	dir := path.Dir(file)
	k.mu.Lock()
	defer k.mu.Unlock()
	own, ok := k.own[dir]
	if ok {
		return own
	}
	if file == "" || k.layout.Top == "" {
		own.err = &formation.NoKeyError{Dir: dir, Vault: true}
	} else {
		own = k.keyIn(filepath.Join(k.layout.Top, filepath.FromSlash(dir)))
	}
	k.own[dir] = own
	return own
}

func (k *Keys) keyIn(dir string) ownKey {
	f := Share(k.layout, &formation.Formation{Dir: dir})
	content, key, err := f.ReadKeyFile()
	var missing *formation.NoKeyError
	if errors.As(err, &missing) {
		missing.Vault = true // the one that is to be opened, wherever it is
	}
	return ownKey{content, key, err}
}

func (k *Keys) readRing() []*crypto.Key {
	if k.layout.CommonDir == "" {
		return nil
	}
	return formation.Keyring{Dir: filepath.Join(k.layout.CommonDir, "muxi-secrets", "keys")}.Keys()
}

// readBeside reads the .key beside every formation file of the index; the top of
// the work tree comes first, which in most repositories is the only one.
func (k *Keys) readBeside() []*crypto.Key {
	if k.repo == nil || k.layout.Top == "" {
		return nil
	}
	dirs := []string{"."}
	k.repo.ListIndex(k.ctx, func(p []byte, _ gitutil.Mode) bool {
		base := p[bytes.LastIndexByte(p, '/')+1:]
		if len(base) < 16 && formation.IsFormationFile(string(base)) {
			dirs = append(dirs, path.Dir(string(p)))
		}
		return false
	}) // an index that cannot be read names no folder
	var keys []*crypto.Key
	for _, dir := range dirs {
		if own := k.keyIn(filepath.Join(k.layout.Top, filepath.FromSlash(dir))); own.key != nil {
			keys = append(keys, own.key)
		}
	}
	return keys
}

// mostFolders bounds the search for keys that lie where no formation is.
const mostFolders = 20_000

func (k *Keys) readStray() []*crypto.Key {
	if k.repo == nil || k.layout.Top == "" {
		return nil
	}
	dirs := formation.FoldersWithKey(k.layout.Top, mostFolders)
	if main := k.layout.MainTop(); main != "" {
		dirs = append(dirs, formation.FoldersWithKey(main, mostFolders)...)
	}
	known := k.beside()
	var keys []*crypto.Key
	for _, dir := range dirs {
		key := k.keyIn(dir).key
		if key != nil && !slices.ContainsFunc(known, func(other *crypto.Key) bool { return equalKeys(key, other) }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// unwrap opens each .key.age once, whatever becomes of it.
func (k *Keys) unwrap(wrapped [][]byte) []*crypto.Key {
	if k.Unwrap == nil {
		return nil
	}
	var keys []*crypto.Key
	for _, one := range wrapped {
		if len(one) == 0 {
			continue
		}
		sum := sha256.Sum256(one)
		k.mu.Lock()
		key, ok := k.unwrapped[sum]
		k.mu.Unlock()
		if !ok {
			if content, err := k.Unwrap(one); err == nil {
				key, _ = crypto.ParseKey(content)
			}
			k.mu.Lock()
			k.unwrapped[sum] = key
			k.mu.Unlock()
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// equalKeys compares two keys, of which either may be nil.
func equalKeys(a, b *crypto.Key) bool {
	return a == b || a != nil && b != nil && a.Fingerprint() == b.Fingerprint()
}
