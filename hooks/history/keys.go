package history

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
)

// Keys finds the keys of a repository's formations: for what the work tree has,
// as their formation.Finder, and for any version of a vault that git has, by Open.
// It reads files, the index and the log, asks nobody, and writes nothing. What it
// found it remembers. It may be used by several goroutines.
type Keys struct {
	// Unwrap opens a .key.age and returns the bytes of the .key in it; nil: there
	// is nobody to do it. It must never ask a person.
	Unwrap func(wrapped []byte) ([]byte, error)
	// Vanished are the pins of folders that are there no more.
	Vanished trust.Pinned
	// Fault is why the repository cannot be asked; no key is read then.
	Fault error

	ctx    context.Context // of the questions to git
	layout gitutil.Layout
	repo   gitutil.Repository // nil: the folder alone

	mu        sync.Mutex
	last      map[string]*crypto.Key // by folder: the one that opened last
	own       map[string]ownKey
	unwrapped map[[32]byte]*crypto.Key // by the sum of what was unwrapped; nil: it does not open
	beside    map[string]*Keys         // those of other repositories and work trees, by their top

	kept      func() []*formation.FoundKey
	others    func() []*crypto.Key
	worktrees func() []string
	main      func() string
	index     func() (indexed, error)
	log       func() []*gitutil.LogEntry
	logAll    func() []*gitutil.LogEntry // of every parent of each merge
	committed func() ([]committedKey, error)
}

// indexed is what the index has that matters here, by paths from the top, with /.
type indexed struct {
	formations []string // their folders
	files      []string // each one's formation file
	submodules []string
	keys       []string // each .key, in any letter case
}

// ownKey is the .key of a folder.
type ownKey struct {
	found *formation.FoundKey
	err   error
}

// NewKeys prepares the search in a repository; nothing is read yet. A nil
// repository means a folder outside of any: top, then, is where paths start.
// ctx is that of the whole run.
func NewKeys(ctx context.Context, repo gitutil.Repository, top string) *Keys {
	k := &Keys{
		ctx: ctx, repo: repo, layout: gitutil.Layout{Top: top},
		last: map[string]*crypto.Key{}, own: map[string]ownKey{}, unwrapped: map[[32]byte]*crypto.Key{}, beside: map[string]*Keys{},
	}
	if repo != nil {
		k.layout = repo.Layout()
	}
	k.Vanished = trust.Vanished(k.layout)
	k.kept = sync.OnceValue(func() []*formation.FoundKey { return k.Keyring().Keys() })
	k.others = sync.OnceValue(k.readOthers)
	k.worktrees = sync.OnceValue(k.layout.WorkTrees)
	k.main = sync.OnceValue(k.layout.MainWorkTree)
	k.index = sync.OnceValues(k.readIndex)
	k.log = sync.OnceValue(func() []*gitutil.LogEntry { return k.readLog(gitutil.Repository.Log) })
	k.logAll = sync.OnceValue(func() []*gitutil.LogEntry { return k.readLog(gitutil.Repository.LogAll) })
	k.committed = sync.OnceValues(k.readCommitted)
	return k
}

// Close ends what was opened beside the repository.
func (k *Keys) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, other := range k.beside {
		if other != k && other.repo != nil {
			other.Close()
			other.repo.Close()
		}
	}
	clear(k.beside)
}

// Open opens the bytes of a secrets.enc with the first key that fits: the one
// that fitted the last version at this path; the .key of its folder; those that
// are kept in the git dir; those that a renamed folder left behind, and the .key
// of any other formation of the index, since a version of a commit may be of a
// folder that has another name now; last, the one that is wrapped in the .key.age
// of that version. Where the folder's .key is none, or tracked, no other place is
// looked at. file is the path of secrets.enc from the top, with /; "" where it is
// not known. wrapped gives the .key.age, nil where there is none; it may itself be
// nil.
//
// The key that fitted is returned. Errors: a *crypto.Error where the bytes are
// no sealed file; a *formation.ContentError, with the key, where what a key
// opens is no vault; where none fits, what the folder's own key says
// (*crypto.Error, *formation.KeyError, *formation.TrackedKeyError,
// *safefile.Error), or, where it has none, a *formation.NoKeyError.
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
	defer func() {
		if err != nil {
			trace.Say(k.ctx, "no key at hand opens '%s'", file)
		} else {
			trace.Say(k.ctx, "'%s' opens with the %v", file, key)
		}
	}()
	plaintext, key, err = k.openNear(file, sealed)
	if err == nil {
		return plaintext, key, nil
	}
	if _, broken := crypto.Detect(sealed); broken != nil {
		return nil, nil, broken // no key opens it
	}
	if k.ownKey(file).stops() {
		return nil, nil, err
	}
	for _, more := range []func() []*crypto.Key{
		func() []*crypto.Key { return k.LeftBehind(file) },
		k.others,
		func() []*crypto.Key { return k.unwrap(wrapped()) },
	} {
		if plaintext, key := k.try(file, sealed, more()...); key != nil {
			return plaintext, key, nil
		}
	}
	return nil, nil, err
}

// stops reports whether there is a .key that cannot be used, if only a link to what
// is not there: no other place is looked at then.
func (own ownKey) stops() bool {
	var missing *formation.NoKeyError
	return own.err != nil && (!errors.As(own.err, &missing) || missing.Link != "")
}

// anyStops is why the .key of a formation of the index cannot be used, which may be
// the one that a version is from; nil where each can, or is not there.
func (k *Keys) anyStops() error {
	if k.repo == nil || k.layout.Top == "" {
		return nil
	}
	index, err := k.index()
	if err != nil {
		return err
	}
	for _, dir := range index.formations {
		if own := k.ownKey(path.Join(dir, formation.VaultFile)); own.stops() {
			return own.err
		}
	}
	return nil
}

// openNear is open with the keys that are found without a search, and without a
// question to git.
func (k *Keys) openNear(file string, sealed []byte) (plaintext []byte, key *crypto.Key, err error) {
	own := k.ownKey(file)
	if own.stops() {
		return nil, nil, own.err
	}
	k.mu.Lock()
	near := []*crypto.Key{k.last[path.Dir(file)]}
	k.mu.Unlock()
	if own.found != nil {
		near = append(near, own.found.Key)
	}
	if plaintext, key := k.try(file, sealed, near...); key != nil {
		return plaintext, key, nil
	}
	if file == "" {
		// Git shows a version without a word of where it is from.
		if err := k.anyStops(); err != nil {
			return nil, nil, err
		}
	}
	for _, kept := range k.kept() {
		if plaintext, key := k.try(file, sealed, kept.Key); key != nil {
			return plaintext, key, nil
		}
	}
	if own.err == nil {
		_, own.err = own.found.Key.Open(sealed)
	}
	return nil, nil, own.err
}

// try opens with the first of these keys that fits; nil ones are passed over. No
// key: none fits.
func (k *Keys) try(file string, sealed []byte, keys ...*crypto.Key) ([]byte, *crypto.Key) {
	for i, key := range keys {
		if key == nil || slices.Contains(keys[:i], key) {
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

// Own is the .key beside a file (its path from the top, with /), or that of the
// same folder in another work tree; nil where there is none, or no usable one.
func (k *Keys) Own(file string) *formation.FoundKey { return k.ownKey(file).found }

// ownKey reads the .key of a file's folder once.
func (k *Keys) ownKey(file string) ownKey {
	dir := path.Dir(file)
	k.mu.Lock()
	own, ok := k.own[dir]
	k.mu.Unlock()
	if ok {
		return own
	}

	if file == "" || k.layout.Top == "" {
		own.err = &formation.NoKeyError{Dir: dir, Vault: true}
	} else {
		own.found, own.err = k.at(dir).ReadKeyFile()
	}
	var missing *formation.NoKeyError
	if errors.As(own.err, &missing) {
		missing.Vault = true // the one that is to be opened, wherever it is
	}
	k.mu.Lock()
	k.own[dir] = own
	k.mu.Unlock()
	return own
}

// at is the formation in a folder, named from the top with /.
func (k *Keys) at(dir string) *formation.Formation {
	return &formation.Formation{Dir: filepath.Join(k.layout.Top, filepath.FromSlash(dir)), Finder: k}
}

// LeftBehind are the keys that lie in the folders that a file's folder was before.
func (k *Keys) LeftBehind(file string) []*crypto.Key {
	if file == "" || k.layout.Top == "" {
		return nil
	}
	return keysOf(k.at(path.Dir(file)).LeftBehind())
}

// readOthers reads the .key of every formation of the index, in every work tree, and
// those that it left behind under other names.
func (k *Keys) readOthers() []*crypto.Key {
	if k.repo == nil || k.layout.Top == "" {
		return nil
	}
	index, _ := k.index() // one that cannot be read names no folder
	dirs := append([]string{"."}, index.formations...)
	var keys []*crypto.Key
	for _, dir := range dirs {
		if own := k.ownKey(path.Join(dir, formation.VaultFile)); own.found != nil {
			keys = append(keys, own.found.Key)
		}
		keys = append(keys, keysOf(k.at(dir).InWorkTrees())...)
	}
	for _, dir := range dirs {
		keys = append(keys, k.LeftBehind(path.Join(dir, formation.VaultFile))...)
	}
	return keys
}

// longestKeyFile is the length of a name that a file system may take for .key: the
// sign for kelvin (U+212A), three bytes, is a letter k to one without case.
const longestKeyFile = len(formation.KeyFile) + 2

// readIndex reads the index once for every question to it.
func (k *Keys) readIndex() (found indexed, err error) {
	if k.repo == nil {
		return found, nil
	}
	err = gitutil.EachIndexed(k.ctx, k.repo, func() { found = indexed{} }, func(p []byte, submodule bool) {
		base := p[bytes.LastIndexByte(p, '/')+1:]
		switch {
		case submodule:
			found.submodules = append(found.submodules, string(p))
		case len(base) <= longestKeyFile && strings.EqualFold(string(base), formation.KeyFile):
			found.keys = append(found.keys, string(p))
		case len(base) < 16 && formation.IsFormationFile(string(base)):
			if n := len(found.formations); n == 0 || found.formations[n-1] != path.Dir(string(p)) {
				found.formations = append(found.formations, path.Dir(string(p)))
				found.files = append(found.files, string(p))
			}
		}
	})
	return found, err
}

// Deleted is what the index has of formations that the work tree lacks, absolute:
// their folders, and of those that are still there the formation file alone. What
// else lies in them is nobody's to bring back: it may be newer than what git has.
func (k *Keys) Deleted() (lost []string) {
	index, err := k.index()
	if err != nil || k.layout.Top == "" {
		return nil
	}
	for i, dir := range index.formations {
		dir := filepath.Join(k.layout.Top, filepath.FromSlash(dir))
		if _, err := formation.At(dir); err == nil {
			continue
		}
		there, _ := os.ReadDir(dir)
		if slices.ContainsFunc(there, func(e os.DirEntry) bool { return e.Name() != formation.KeyFile }) {
			dir = filepath.Join(k.layout.Top, filepath.FromSlash(index.files[i]))
		}
		lost = append(lost, dir)
	}
	return lost
}

// Folders are those of the index's formations, from the top.
func (k *Keys) Folders() ([]string, error) {
	index, err := k.index()
	if err != nil {
		return nil, err
	}
	return index.formations, nil
}

// Formations are those that the index has in the work tree, those of submodules
// included.
func (k *Keys) Formations() ([]*formation.Formation, error) {
	index, err := k.index()
	if err != nil || k.layout.Top == "" {
		return nil, err
	}
	var found []*formation.Formation
	for _, dir := range index.formations {
		if f, err := formation.At(filepath.Join(k.layout.Top, filepath.FromSlash(dir))); err == nil {
			found = append(found, k.Of(f))
		}
	}
	for _, sub := range index.submodules {
		owner, err := k.owner(filepath.Join(k.layout.Top, filepath.FromSlash(sub)))
		if err != nil {
			return nil, err
		}
		if owner == k {
			continue // not checked out
		}
		within, err := owner.Formations()
		if err != nil {
			return nil, err
		}
		found = append(found, within...)
	}
	return found, nil
}

func keysOf(found []*formation.FoundKey) []*crypto.Key {
	var keys []*crypto.Key
	for _, one := range found {
		keys = append(keys, one.Key)
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

// Wrapped is the key in a .key.age; nil where nothing at hand opens it.
func (k *Keys) Wrapped(wrapped []byte) *crypto.Key {
	for _, key := range k.unwrap([][]byte{wrapped}) {
		return key
	}
	return nil
}

// Of has a formation find its keys here or, where it lies in another repository
// (a submodule, say), there.
func (k *Keys) Of(f *formation.Formation) *formation.Formation {
	owner, err := k.owner(f.Dir)
	if err != nil {
		owner = k // which will say so, once it is asked
	}
	f.Finder = owner
	return f
}

// Tracked is the part of a formation.Finder.
func (k *Keys) Tracked(file string) (bool, error) {
	if k.Fault != nil {
		return false, k.Fault
	}
	owner, err := k.owner(filepath.Dir(file))
	if err != nil || owner.repo == nil || owner.layout.Top == "" {
		return false, err
	}
	if filepath.Base(file) != formation.KeyFile {
		tracked, err := owner.repo.Tracked(k.ctx, []string{file})
		return err == nil && tracked[0], err
	}

	// There is one for each formation: the index is read once for all.
	index, err := owner.index()
	rel, ok := owner.fromTop(filepath.Dir(file))
	if err != nil || !ok {
		return false, err
	}
	rel = path.Join(rel, formation.KeyFile)
	return slices.ContainsFunc(index.keys, func(key string) bool {
		return key == rel || sameFile(file, filepath.Join(owner.layout.Top, filepath.FromSlash(key)))
	}), nil
}

// sameFile reports whether two names are of one file, as where letters have no
// case, or one letter has two spellings.
func sameFile(a, b string) bool {
	one, errOne := os.Lstat(a)
	other, errOther := os.Lstat(b)
	return errOne == nil && errOther == nil && os.SameFile(one, other)
}

// WorkTrees is the part of a formation.Finder.
func (k *Keys) WorkTrees(dir string) []string {
	rel, ok := k.fromTop(dir)
	if !ok || k.repo == nil {
		return nil
	}
	var dirs []string
	for _, top := range k.worktrees() {
		dirs = append(dirs, filepath.Join(top, filepath.FromSlash(rel)))
	}
	return dirs
}

// StandIns is the part of a formation.Finder.
func (k *Keys) StandIns(dir string) []string {
	dirs := k.WorkTrees(dir)
	switch {
	case k.layout.GitDir == k.layout.CommonDir:
		return nil
	case k.main() != "":
		return dirs[:min(1, len(dirs))]
	}
	return dirs
}

// Kept is the part of a formation.Finder.
func (k *Keys) Kept() []*formation.FoundKey { return k.kept() }

// Keyring is the part of a formation.Finder.
func (k *Keys) Keyring() formation.Keyring {
	if k.layout.CommonDir == "" {
		return formation.Keyring{}
	}
	return formation.Keyring{Dir: filepath.Join(k.layout.CommonDir, "muxi-secrets", "keys")}
}

// Earlier is the part of a formation.Finder. A folder was another one before where
// its vault appears in a commit that takes away that one's; which of several it
// was, the key that opens the vault tells.
func (k *Keys) Earlier(dir string) []string {
	rel, ok := k.fromTop(dir)
	if !ok {
		return nil
	}
	var dirs []string
	for _, vault := range k.vaults(rel)[1:] {
		for _, top := range append([]string{k.layout.Top}, k.worktrees()...) {
			dirs = append(dirs, filepath.Join(top, filepath.FromSlash(path.Dir(vault))))
		}
	}
	return dirs
}

// vaults are the paths that the vault of a folder may have had in HEAD's history,
// the one of now first.
func (k *Keys) vaults(rel string) []string {
	all := []string{path.Join(rel, formation.VaultFile)}
	for _, e := range k.log() {
		for _, now := range e.Changes {
			if now.Old == "" && slices.Contains(all, now.Path) {
				for _, was := range origins(e, now) {
					if !slices.Contains(all, was) {
						all = append(all, was)
					}
				}
			}
		}
	}
	return all
}

// origins are the paths that a vault may have had before a commit in which it
// appears: where the very bytes went, else wherever one went.
func origins(e *gitutil.LogEntry, now gitutil.LogChange) []string {
	var all []string
	for _, was := range e.Changes {
		switch {
		case was.Parent != now.Parent || was.New != "":
		case was.Old == now.New:
			return []string{was.Path}
		default:
			all = append(all, was.Path)
		}
	}
	return all
}

// readLog asks git for the commits of HEAD that touch a vault. As far as it
// goes: a shallow clone knows no more, and before the first commit there is none.
func (k *Keys) readLog(log gitutil.LogFunc) []*gitutil.LogEntry {
	var entries []*gitutil.LogEntry
	if k.repo == nil {
		return nil
	}
	log(k.repo, k.ctx, "", []string{formation.VaultFile}, func(e *gitutil.LogEntry) error {
		entries = append(entries, e)
		return nil
	})
	return entries
}

// fromTop is a folder's path from the top, with /.
func (k *Keys) fromTop(dir string) (string, bool) {
	if k.layout.Top == "" {
		return "", false
	}
	return paths.Below(k.layout.Top, paths.Real(dir))
}

// owner are the keys of the repository that a folder lies in: this one, one
// inside of its work tree, another work tree of it, any other. A folder in none is
// taken for one of this: git tracks nothing there.
func (k *Keys) owner(dir string) (*Keys, error) {
	top := paths.Real(dir)
	for ; top != k.layout.Top; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			break
		}
		if top == filepath.Dir(top) {
			return k, nil
		}
	}
	if k.repo == nil || top == k.layout.Top {
		return k, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if other, ok := k.beside[top]; ok {
		return other, nil
	}

	repo, err := gitutil.Open(top, gitutil.Options{Elsewhere: true})
	if none := (*gitutil.NotRepositoryError)(nil); errors.As(err, &none) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	other := k
	if repo.Layout().GitDir != k.layout.GitDir {
		other = NewKeys(k.ctx, repo, "")
	} else {
		repo.Close()
	}
	k.beside[top] = other
	return other, nil
}
