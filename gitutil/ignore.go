package gitutil

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ignoreRules answers gitignore(5) questions for the go-git backend, whose own
// matcher differs from git's. Files are read when a path below them is asked for.
type ignoreRules struct {
	top    string
	fold   bool
	shared []ignoreRule            // core.excludesFile, then info/exclude
	dirs   map[string][]ignoreRule // each folder's own .gitignore
}

type ignoreRule struct {
	pathPattern
	negated bool
}

func newIgnoreRules(layout Layout, excludesFile string, fold bool) *ignoreRules {
	r := &ignoreRules{top: layout.Top, fold: fold, dirs: map[string][]ignoreRule{}}
	if excludesFile != "" {
		r.shared = parseIgnore(readPatternFile(excludesFile), "", fold)
	}
	info := filepath.Join(layout.CommonDir, "info", "exclude")
	r.shared = append(r.shared, parseIgnore(readPatternFile(info), "", fold)...)
	return r
}

// ignored judges a path from the top. A file cannot come back from a folder that
// is ignored, so folders are judged first.
func (r *ignoreRules) ignored(path string, isDir bool) bool {
	for i := 0; i < len(path); i++ {
		if path[i] == '/' && r.verdict(path[:i], true) {
			return true
		}
	}
	return r.verdict(path, isDir)
}

// verdict gives the word of the last rule that matches, from the nearest file.
func (r *ignoreRules) verdict(path string, isDir bool) bool {
	for dir, more := parentOf(path), true; more; dir, more = parentOf(dir), dir != "" {
		if rule := lastMatch(r.rulesIn(dir), path, isDir); rule != nil {
			return !rule.negated
		}
	}
	rule := lastMatch(r.shared, path, isDir)
	return rule != nil && !rule.negated
}

func lastMatch(rules []ignoreRule, path string, isDir bool) *ignoreRule {
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].match(path, isDir) {
			return &rules[i]
		}
	}
	return nil
}

func (r *ignoreRules) rulesIn(dir string) []ignoreRule {
	rules, ok := r.dirs[dir]
	if !ok {
		file := filepath.Join(r.top, filepath.FromSlash(dir), ".gitignore")
		// Git does not follow a link that is part of the work tree.
		if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
			rules = parseIgnore(readPatternFile(file), dir, r.fold)
		}
		r.dirs[dir] = rules
	}
	return rules
}

func parseIgnore(text, base string, fold bool) []ignoreRule {
	var rules []ignoreRule
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = trimPattern(strings.TrimSuffix(line, "\r"))
		if line == "" || line[0] == '#' {
			continue
		}
		var rule ignoreRule
		line, rule.negated = strings.CutPrefix(line, "!")
		if line == "" || line == "/" {
			continue
		}
		rule.pathPattern = newPathPattern(line, base, fold)
		rules = append(rules, rule)
	}
	return rules
}

// trimPattern takes off trailing spaces, but not one behind a backslash.
func trimPattern(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
			end = min(i+1, len(line))
		} else if line[i] != ' ' {
			end = i + 1
		}
	}
	return line[:end]
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
