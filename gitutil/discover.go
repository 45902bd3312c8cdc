package gitutil

import (
	"os"
	"path/filepath"
	"strings"
)

// Layout says where a repository's parts are. All paths are absolute with
// symbolic links resolved.
type Layout struct {
	Top       string // top of the work tree; "" when there is none (bare, or inside .git)
	GitDir    string // HEAD and index of this work tree
	CommonDir string // objects, refs and config, shared by linked work trees; often equal to GitDir
	Bare      bool
}

// MainTop is the top of the main work tree, where this one is linked to it
// (git-worktree(1)); "" elsewhere, and where the main repository is bare.
func (l Layout) MainTop() string {
	if l.Top == "" || l.GitDir == l.CommonDir || filepath.Base(l.CommonDir) != ".git" {
		return ""
	}
	main := filepath.Dir(l.CommonDir)
	if main == l.Top {
		return ""
	}
	return main
}

// Discover finds the repository around dir the way git does (gitrepository-layout,
// GIT_DIR, GIT_WORK_TREE, GIT_COMMON_DIR, GIT_CEILING_DIRECTORIES,
// GIT_DISCOVERY_ACROSS_FILESYSTEM), without starting a process. It does not
// judge who owns the repository: git does that when it is asked something.
//
// Errors: *NotRepositoryError.
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
		return fromGitDir(absFrom(start, gitDir), start, start, getenv)
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
			return fromGitDir(target, at, start, getenv)
		}
		if isGitDir(at, getenv) {
			return fromGitDir(at, "", start, getenv)
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
	path = absFrom(filepath.Dir(dotGit), filepath.FromSlash(path))
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
	layout := Layout{GitDir: resolve(gitDir)}
	layout.CommonDir = resolve(commonDir(layout.GitDir, getenv))

	bare, worktree := coreSettings(layout)
	switch {
	case getenv("GIT_WORK_TREE") != "":
		layout.Top = resolve(absFrom(start, getenv("GIT_WORK_TREE")))
	case worktree != "" && !bare:
		layout.Top = resolve(absFrom(layout.GitDir, filepath.FromSlash(worktree)))
	case bare:
		layout.Bare = true
	case found != "":
		layout.Top = resolve(found)
	}
	return layout, nil
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
	return absFrom(gitDir, filepath.FromSlash(strings.TrimRight(text, "\r\n")))
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
		if entry == "" {
			raw = true
			continue
		}
		if !filepath.IsAbs(entry) {
			continue
		}
		if entry = filepath.Clean(entry); !raw {
			entry = resolve(entry)
		}
		if len(entry) > len(longest) && entry != start && within(start, entry) {
			longest = entry
		}
	}
	return longest
}

// within tells whether path is dir or lies below it. Both are clean.
func within(path, dir string) bool {
	if path == dir {
		return true
	}
	if !strings.HasSuffix(dir, string(filepath.Separator)) {
		dir += string(filepath.Separator)
	}
	return strings.HasPrefix(path, dir)
}

func absFrom(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// resolve follows symbolic links, or gives the path back where it does not exist.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
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
