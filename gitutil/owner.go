package gitutil

import (
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// checkOwner is git's rule about whose repository is read at all
// (safe.directory in git-config(1), ensure_valid_ownership in setup.c): the file
// .git, the work tree and the git dir are the user's own, or the person or the
// machine has said that the place is safe. What a git dir holds decides which
// files are written and which commands run. "" stands for what there is none of.
//
// As with git, a repository that GIT_DIR names is not judged.
//
// Errors: *DubiousOwnershipError.
func checkOwner(gitFile, workTree, gitDir string, getenv func(string) string) error {
	// Git's own tests set this; it can only make us stricter.
	owned := !gitTrue(getenv("GIT_TEST_ASSUME_DIFFERENT_OWNER"))
	for _, path := range []string{gitFile, workTree, gitDir} {
		owned = owned && (path == "" || ownedByUser(path, getenv))
	}
	if owned {
		return nil
	}

	place := workTree
	if place == "" {
		place = gitDir
	}
	safe := false
	for _, e := range protectedEntries(getenv) {
		if e.key != "safe.directory" {
			continue
		}
		switch {
		case e.value == "":
			safe = false // what came before does not count
		case e.value == "*":
			safe = true
		default:
			safe = safe || isSafePlace(expandHome(e.value, getenv), place)
		}
	}
	if safe {
		return nil
	}
	return &DubiousOwnershipError{Dir: place}
}

// isSafePlace compares an entry with a place. Behind /* stands all that is below.
func isSafePlace(entry, place string) bool {
	if !filepath.IsAbs(entry) {
		return false
	}
	above, all := strings.CutSuffix(filepath.ToSlash(entry), "/*")
	above = paths.Real(filepath.FromSlash(above))
	place = paths.Real(place)
	return above == place || all && paths.Within(above, place)
}
