package gitutil

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// Layout says where a repository's parts are. All paths are absolute with
// symbolic links resolved.
type Layout struct {
	Top       string // top of the work tree; "" when there is none (bare, or inside .git)
	GitDir    string // HEAD and index of this work tree
	CommonDir string // objects, refs and config, shared by linked work trees; often equal to GitDir
	Bare      bool
}

// WorkTrees are the tops of the repository's other work trees (git-worktree(1)),
// as far as they are there: the main one first, the linked ones by their name.
func (l Layout) WorkTrees() []string {
	var tops []string
	if main := l.MainWorkTree(); main != "" {
		tops = append(tops, main)
	}

	linked := filepath.Join(l.CommonDir, "worktrees")
	entries, err := os.ReadDir(linked)
	if err != nil {
		return tops // there are none
	}
	for _, entry := range entries {
		dir := filepath.Join(linked, entry.Name())
		if text, err := readSmall(filepath.Join(dir, "gitdir")); err == nil {
			if top := l.otherTop(filepath.Dir(paths.From(dir, filepath.FromSlash(strings.TrimRight(text, "\r\n"))))); top != "" {
				tops = append(tops, top)
			}
		}
	}
	return tops
}

// MainWorkTree is the top of the repository's main work tree; "" where this is it, and
// where there is none.
func (l Layout) MainWorkTree() string {
	switch bare, worktree := coreSettings(Layout{GitDir: l.CommonDir, CommonDir: l.CommonDir}); {
	case bare:
	case worktree != "":
		return l.otherTop(paths.From(l.CommonDir, filepath.FromSlash(worktree)))
	case filepath.Base(l.CommonDir) == ".git":
		return l.otherTop(filepath.Dir(l.CommonDir))
	}
	return ""
}

// otherTop is a top without links on the way, "" where it is this one or no work tree.
func (l Layout) otherTop(top string) string {
	if top = paths.Real(top); top != l.Top && paths.There(filepath.Join(top, ".git")) {
		return top
	}
	return ""
}

// Elsewhere tells whether a folder below the top begins another work tree, whose
// files are none of this one's: one that is linked to a repository
// (git-worktree(1)), be it this one, or a repository of its own. A submodule is
// part of the work tree, and what lies in it goes with it.
func (l Layout) Elsewhere(dir string) bool {
	none := func(string) string { return "" } // what GIT_DIR and others say is said of this one
	gitDir, found, err := gitDirAt(filepath.Join(dir, ".git"), none)
	if err != nil || !found || l.Top == "" || paths.Real(dir) == l.Top {
		return false
	}
	gitDir = paths.Real(gitDir)
	if paths.Real(commonDir(gitDir, none)) != gitDir {
		return true // linked
	}
	for _, own := range []string{l.GitDir, l.CommonDir} {
		if paths.Within(filepath.Join(own, "modules"), gitDir) {
			return false
		}
	}

	// A submodule may also have its repository within itself, as one that was
	// cloned by hand before it was added.
	rel, inside := l.rel(dir)
	submodule := false
	_, err = readIndexFile(filepath.Join(l.GitDir, "index"), func() { submodule = false }, func(e *indexRecord) {
		submodule = submodule || e.mode == modeSubmodule && string(e.path) == rel
	})
	return inside && !submodule && !errors.Is(err, errIndexForm)
}

// Discover finds the repository around dir the way git does (gitrepository-layout,
// GIT_DIR, GIT_WORK_TREE, GIT_COMMON_DIR, GIT_CEILING_DIRECTORIES,
// GIT_DISCOVERY_ACROSS_FILESYSTEM), without starting a process. Of a repository
// that is somebody else's it reads no more than is needed to find it.
//
// Errors: *NotRepositoryError; *DubiousOwnershipError; *EmbeddedError.
func Discover(dir string, getenv func(string) string) (Layout, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return Layout{}, &NotRepositoryError{Dir: dir, Reason: err.Error()}
	}
	// git starts from getcwd(), which has no symbolic links in it.
	if start, err = filepath.EvalSymlinks(start); err != nil {
		return Layout{}, &NotRepositoryError{Dir: dir, Reason: "no such folder"}
	}
	if gitDir := getenv("GIT_DIR"); gitDir != "" {
		return fromGitDir(paths.From(start, gitDir), start, start, getenv)
	}
	ceiling := ceilingOf(start, getenv("GIT_CEILING_DIRECTORIES"))
	crossing := gitTrue(getenv("GIT_DISCOVERY_ACROSS_FILESYSTEM"))
	for at := start; ; {
		dotGit := filepath.Join(at, ".git")
		target, found, err := gitDirAt(dotGit, getenv)
		if err != nil {
			return Layout{}, err
		}
		if found {
			gitFile := ""
			if target != dotGit {
				gitFile = dotGit
			}
			if err := checkOwner(gitFile, at, target, getenv); err != nil {
				return Layout{}, err
			}
			return fromGitDir(target, at, start, getenv)
		}
		if isGitDir(at, getenv) {
			if err := checkOwner("", "", at, getenv); err != nil {
				return Layout{}, err
			}
			layout, err := fromGitDir(at, "", start, getenv)
			if err == nil && isEmbedded(layout, getenv) {
				return Layout{}, &EmbeddedError{Dir: layout.GitDir}
			}
			return layout, err
		}
		up := filepath.Dir(at)
		if up == at || len(up) <= len(ceiling) || (!crossing && !sameDevice(at, up)) {
			return Layout{}, &NotRepositoryError{Dir: dir}
		}
		at = up
	}
}

// gitDirAt follows one ".git": a folder, a symbolic link to one, or a file that
// says "gitdir: PATH" (linked work trees and submodules). Like git it passes
// over a folder that is no repository, and stops at a file that leads nowhere.
func gitDirAt(dotGit string, getenv func(string) string) (target string, found bool, err error) {
	info, err := os.Stat(dotGit)
	if err != nil {
		return "", false, nil
	}
	if info.IsDir() {
		return dotGit, isGitDir(dotGit, getenv), nil
	}
	if !info.Mode().IsRegular() {
		return "", false, nil
	}
	text, err := readSmall(dotGit)
	if err != nil {
		return "", false, &NotRepositoryError{Dir: dotGit, Reason: "cannot be read"}
	}
	path, ok := strings.CutPrefix(text, "gitdir: ")
	path = strings.TrimRight(path, "\r\n")
	if !ok || path == "" {
		return "", false, &NotRepositoryError{Dir: dotGit, Reason: "invalid gitfile format"}
	}
	path = paths.From(filepath.Dir(dotGit), filepath.FromSlash(path))
	if !isGitDir(path, getenv) {
		return "", false, &NotRepositoryError{Dir: dotGit, Reason: "it leads to '" + path + "', which is no repository"}
	}
	return path, true, nil
}

// fromGitDir works out the rest of the layout. found is the folder that held
// ".git", or the start for GIT_DIR, or "" when gitDir itself was walked into.
func fromGitDir(gitDir, found, start string, getenv func(string) string) (Layout, error) {
	// GIT_DIR may name a gitfile too.
	if info, err := os.Stat(gitDir); err == nil && !info.IsDir() {
		target, ok, err := gitDirAt(gitDir, getenv)
		if err != nil {
			return Layout{}, err
		}
		if ok {
			gitDir = target
		}
	}
	if !isGitDir(gitDir, getenv) {
		return Layout{}, &NotRepositoryError{Dir: gitDir}
	}
	layout := Layout{GitDir: paths.Real(gitDir)}
	layout.CommonDir = paths.Real(commonDir(layout.GitDir, getenv))

	bare, worktree := coreSettings(layout)
	switch {
	case getenv("GIT_WORK_TREE") != "":
		layout.Top = paths.Real(paths.From(start, getenv("GIT_WORK_TREE")))
	case worktree != "" && !bare:
		layout.Top = paths.Real(paths.From(layout.GitDir, filepath.FromSlash(worktree)))
	case bare:
		layout.Bare = true
	case found != "":
		layout.Top = paths.Real(found)
	}
	return layout, nil
}

// isEmbedded tells whether a git dir that was walked into lies in the work tree of
// another repository (safe.bareRepository in git-config(1)), and is not that one's
// own. That takes no .git along from anywhere, but a folder with the files of a git
// dir is one like any other. What its commondir says counts for nothing: it came
// along, too.
func isEmbedded(layout Layout, getenv func(string) string) bool {
	around, err := Discover(filepath.Dir(layout.GitDir), getenv)
	if err != nil {
		var none *NotRepositoryError
		return !errors.As(err, &none) // it is there, and none to be read
	}
	return around.Top != "" && !paths.Within(around.CommonDir, layout.GitDir) && !paths.Within(around.GitDir, layout.GitDir)
}

// commonDir follows the "commondir" file of a linked work tree.
func commonDir(gitDir string, getenv func(string) string) string {
	if env := getenv("GIT_COMMON_DIR"); env != "" {
		if abs, err := filepath.Abs(env); err == nil {
			return abs
		}
	}
	text, err := readSmall(filepath.Join(gitDir, "commondir"))
	if err != nil {
		return gitDir
	}
	return paths.From(gitDir, filepath.FromSlash(strings.TrimRight(text, "\r\n")))
}

// isGitDir is git's own test: a HEAD, a store of objects, and refs.
func isGitDir(dir string, getenv func(string) string) bool {
	if !validHead(filepath.Join(dir, "HEAD")) {
		return false
	}
	common := commonDir(dir, getenv)
	objects := getenv("GIT_OBJECT_DIRECTORY")
	if objects == "" {
		objects = filepath.Join(common, "objects")
	}
	return isDir(objects) && isDir(filepath.Join(common, "refs"))
}

func validHead(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		return err == nil && strings.HasPrefix(filepath.ToSlash(target), "refs/")
	}
	text, err := readSmall(path)
	if err != nil {
		return false
	}
	if ref, ok := strings.CutPrefix(text, "ref:"); ok {
		return strings.HasPrefix(strings.TrimLeft(ref, " \t\r\n"), "refs/")
	}
	return len(text) >= 40 && isHex(text[:40])
}

// ceilingOf gives the longest of the listed folders that lies above start. An
// empty entry means that later ones are compared as they are written (git(1)).
func ceilingOf(start, list string) string {
	longest, raw := "", false
	for _, entry := range filepath.SplitList(list) {
		if raw = raw || entry == ""; !filepath.IsAbs(entry) {
			continue
		}
		if entry = filepath.Clean(entry); !raw {
			entry = paths.Real(entry)
		}
		if len(entry) > len(longest) && entry != start && paths.Within(entry, start) {
			longest = entry
		}
	}
	return longest
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

// HeadRef is the ref that HEAD stands for, such as refs/heads/main, read without
// git; "" where it is detached, or where the refs are in tables (reftable).
func (l Layout) HeadRef() string {
	text, err := readSmall(filepath.Join(l.GitDir, "HEAD"))
	ref, ok := strings.CutPrefix(text, "ref: ")
	if ref = strings.TrimSpace(ref); err != nil || !ok || ref == "refs/heads/.invalid" {
		return ""
	}
	return ref
}

// readSmall reads one of git's own one-line files. They are far smaller than
// the bound, which keeps a hostile one from filling the memory.
func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, 8192)
	n, err := f.Read(buf)
	if n == 0 && err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
