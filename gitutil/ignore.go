package gitutil

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/wildmatch"
)

// ignoreRules answers gitignore(5) questions for the go-git backend, whose own
// matcher differs from git's. Files are read when a path below them is asked for.
type ignoreRules struct {
	read   func(dir string) string // a folder's .gitignore
	fold   bool
	shared [][]wildmatch.Pattern          // info/exclude, then core.excludesFile, which is weaker
	dirs   map[string][]wildmatch.Pattern // each folder's own .gitignore
}

func newIgnoreRules(layout Layout, excludesFile string, fold bool) *ignoreRules {
	r := &ignoreRules{read: patternsOnDisk(layout.Top, ".gitignore"), fold: fold, dirs: map[string][]wildmatch.Pattern{}}
	for _, file := range []string{layout.ExcludeFile(), excludesFile} {
		if file != "" {
			r.shared = append(r.shared, parseIgnore(readPatternFile(file), "", fold))
		}
	}
	return r
}

// ignored judges a path from the top.
func (r *ignoreRules) ignored(path string, isDir bool) bool {
	return wildmatch.Excluded(path, isDir, r.verdict)
}

// verdict gives the word of the last rule that matches, from the nearest file.
func (r *ignoreRules) verdict(path string, isDir bool) bool {
	rule := r.last(path, isDir)
	return rule != nil && !rule.Negated
}

func (r *ignoreRules) last(path string, isDir bool) *wildmatch.Pattern {
	for dir, more := parentOf(path), true; more; dir, more = parentOf(dir), dir != "" {
		if rule := lastMatch(r.rulesIn(dir), path, isDir); rule != nil {
			return rule
		}
	}
	for _, rules := range r.shared {
		if rule := lastMatch(rules, path, isDir); rule != nil {
			return rule
		}
	}
	return nil
}

func lastMatch(rules []wildmatch.Pattern, path string, isDir bool) *wildmatch.Pattern {
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].Match(path, isDir) {
			return &rules[i]
		}
	}
	return nil
}

func (r *ignoreRules) rulesIn(dir string) []wildmatch.Pattern {
	rules, ok := r.dirs[dir]
	if !ok {
		rules = parseIgnore(r.read(dir), dir, r.fold)
		r.dirs[dir] = rules
	}
	return rules
}

// patternsOnDisk reads the files of a name in the folders of a work tree. Git does
// not follow a link that is part of it.
func patternsOnDisk(top, name string) func(dir string) string {
	return func(dir string) string {
		file := filepath.Join(top, filepath.FromSlash(dir), name)
		if info, err := os.Lstat(file); top == "" || err != nil || !info.Mode().IsRegular() {
			return ""
		}
		return readPatternFile(file)
	}
}

func parseIgnore(text, base string, fold bool) []wildmatch.Pattern {
	var rules []wildmatch.Pattern
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		if rule, ok := wildmatch.Line(line, base, fold); ok {
			rules = append(rules, rule)
		}
	}
	return rules
}

// maxPatternFile is where git, too, stops reading a pattern file (2.43).
const maxPatternFile = 100 << 20

func readPatternFile(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPatternFile))
	if err != nil {
		return ""
	}
	return string(data)
}
