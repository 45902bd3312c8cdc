package gitutil

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// goGitRepo is the backend for machines without git. It uses go-git for what is
// stored (objects, packs, refs, the index format) and answers everything else
// itself: go-git's own layer knows neither GIT_INDEX_FILE nor core.hooksPath,
// and its pattern matching is not git's.
type goGitRepo struct {
	layout Layout
	getenv func(string) string
	store  *filesystem.Storage

	config  *gitConfig
	shallow map[string]bool

	mu sync.Mutex // go-git's storage is not safe for concurrent use
}

// objectCache bounds what go-git keeps of unpacked objects.
const objectCache = 16 << 20

func openGoGit(layout Layout, opt Options) (Repository, error) {
	r := &goGitRepo{layout: layout, getenv: opt.Getenv, shallow: layout.ShallowCommits()}
	if err := r.supported(); err != nil {
		return nil, err
	}
	r.config = readLayers(layout, opt.Getenv)
	fs := dotgit.NewRepositoryFilesystem(osfs.New(layout.GitDir), osfs.New(layout.CommonDir))
	r.store = filesystem.NewStorageWithOptions(fs, cache.NewObjectLRU(objectCache), filesystem.Options{
		LargeObjectThreshold: objectCache,
		KeepDescriptors:      true, // else a pack is opened again for each object
	})
	return r, nil
}

// supported refuses what go-git would misread. The extensions are those of
// repository format 1 (git's Documentation/technical/repository-version).
func (r *goGitRepo) supported() error {
	refuse := func(feature string) error { return &UnsupportedError{Feature: feature} }
	for _, e := range readConfigFile(filepath.Join(r.layout.CommonDir, "config")) {
		name, ok := strings.CutPrefix(e.key, "extensions.")
		if !ok {
			continue
		}
		switch name {
		case "noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees":
		case "objectformat":
			if e.value != "sha1" {
				return refuse("SHA-256 objects")
			}
		case "refstorage":
			if e.value != "files" {
				return refuse("reftable")
			}
		default:
			return refuse("the extension '" + name + "'")
		}
	}
	if data, err := os.ReadFile(filepath.Join(r.layout.CommonDir, "objects", "info", "alternates")); err == nil && len(data) > 0 {
		return refuse("alternate object stores")
	}
	for _, name := range []string{"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"} {
		if r.getenv(name) != "" {
			return refuse(name)
		}
	}
	return nil
}

func (r *goGitRepo) Layout() Layout { return r.layout }

func (r *goGitRepo) Close() error { return r.store.Close() }

func (r *goGitRepo) Config(_ context.Context, key string) (string, bool, error) {
	v, ok := r.config.values[canonicalKey(key)]
	return v.value, ok, nil
}

func (r *goGitRepo) HooksDir(context.Context) (HooksDir, error) {
	v, ok := r.config.values["core.hookspath"]
	if !ok || v.value == "" {
		return newHooksDir(r.layout, filepath.Join(r.layout.CommonDir, "hooks"), ""), nil
	}
	base := r.layout.Top
	if base == "" {
		base = r.layout.GitDir
	}
	return newHooksDir(r.layout, paths.From(base, expandHome(v.value, r.getenv)), v.scope), nil
}

func (r *goGitRepo) HookCommands(context.Context, string) ([]string, error) { return nil, nil }

func (r *goGitRepo) ignoreRules() *ignoreRules {
	excludes := configHome(r.getenv, "ignore")
	if v, ok := r.config.values["core.excludesfile"]; ok {
		excludes = expandHome(v.value, r.getenv)
	}
	return newIgnoreRules(r.layout, excludes, r.config.truth("core.ignorecase"))
}

func (r *goGitRepo) Ignored(_ context.Context, paths []string) ([]bool, error) {
	rules := r.ignoreRules()
	ignored := make([]bool, len(paths))
	list := r.layout.relative(paths)
	for i, rel := range list.rel {
		info, err := os.Lstat(paths[list.at[i]])
		isDir := err == nil && info.IsDir()
		ignored[list.at[i]] = rules.ignored(rel, isDir)
	}
	return ignored, nil
}

func (r *goGitRepo) Attributes(ctx context.Context, paths, names []string) ([]map[string]string, error) {
	low, err := attributeFiles(ctx, r)
	if err != nil {
		return nil, err
	}
	rules := newAttributeRules(r.layout, low, r.config.truth("core.ignorecase"))
	all := unspecified(paths, names)
	list := r.layout.relative(paths)
	for i, rel := range list.rel {
		all[list.at[i]] = rules.values(rel, names)
	}
	return all, nil
}

func (r *goGitRepo) WorkTree(ctx context.Context, v Visitor) error {
	if r.layout.Top == "" {
		return &NoWorkTreeError{GitDir: r.layout.GitDir}
	}
	index, err := r.index(ctx)
	if err != nil {
		return err
	}
	tracked := make(map[string]bool, len(index))
	for _, e := range index {
		tracked[e.Path] = true
	}
	w := &untrackedWalk{top: r.layout.Top, getenv: r.getenv, rules: r.ignoreRules(), tracked: tracked}
	if err := w.walk(ctx, ""); err != nil {
		return err
	}
	slices.Sort(w.found)
	disk := newDiskReader(r.layout.Top, &v)
	for _, path := range w.found {
		if err := disk.visit(path); err != nil {
			return err
		}
	}
	for _, e := range index {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := disk.visit(e.Path); err != nil {
			return err
		}
	}
	return nil
}

// untrackedWalk finds the files that git would call untracked.
type untrackedWalk struct {
	top     string
	getenv  func(string) string
	rules   *ignoreRules
	tracked map[string]bool
	found   []string
}

func (w *untrackedWalk) walk(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	full := filepath.Join(w.top, filepath.FromSlash(dir))
	if dir != "" {
		// Another repository's files are its own.
		if _, other, err := gitDirAt(filepath.Join(full, ".git"), w.getenv); other || err != nil {
			return nil
		}
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return nil // git warns and goes on
	}
	for _, entry := range entries {
		path := entry.Name()
		if strings.EqualFold(path, ".git") {
			continue
		}
		if dir != "" {
			path = dir + "/" + path
		}
		if w.tracked[path] || w.rules.verdict(path, entry.IsDir()) {
			continue
		}
		if entry.IsDir() {
			if err := w.walk(ctx, path); err != nil {
				return err
			}
		} else if entry.Type().IsRegular() || entry.Type()&os.ModeSymlink != 0 {
			w.found = append(w.found, path)
		}
	}
	return nil
}

// object reads a commit or a tree whole.
func (r *goGitRepo) object(kind plumbing.ObjectType, id plumbing.Hash) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.store.EncodedObject(kind, id)
	if err != nil {
		return nil, objectError(err, id.String(), "")
	}
	f, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// deliver reads a blob and hands it to the visitor. The lock is not held
// during the callback.
func (r *goGitRepo) deliver(v *Visitor, b *Blob, buf *[]byte) error {
	if !v.wants(b.Path, b.Mode) {
		return nil
	}
	f, err := r.readBlob(v, b, buf)
	if err != nil {
		return err
	}
	defer f.Close()
	if b.Truncated() {
		b.Rest = f
		b.Reopen = func() (io.ReadCloser, error) { return r.blobReader(b) }
	}
	return v.Blob(b)
}

// readBlob reads the head of a blob, and returns a reader of the rest.
func (r *goGitRepo) readBlob(v *Visitor, b *Blob, buf *[]byte) (io.ReadCloser, error) {
	f, err := r.blobReader(b)
	if err != nil {
		return nil, err
	}
	n := int(min(b.Size, v.maxBlob()))
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b.Data = (*buf)[:n]
	if _, err = io.ReadFull(f, b.Data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// blobReader opens a blob, and fills in its size.
func (r *goGitRepo) blobReader(b *Blob) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.store.EncodedObject(plumbing.BlobObject, plumbing.NewHash(b.ID))
	if err != nil {
		return nil, objectError(err, b.ID, b.Path)
	}
	b.Size = o.Size()
	f, err := o.Reader()
	if err != nil {
		return nil, objectError(err, b.ID, b.Path)
	}
	return f, nil
}

func objectError(err error, id, path string) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return &MissingObjectError{ID: id, Path: path}
	}
	return err
}
