package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// attributeLines are what .gitattributes should say about the formation's
// files: those of people only where the key is shared.
func (w *writing) attributeLines() []judge.FileAttributes {
	people := w.sharing
	if !people {
		people, _ = paths.Exists(w.Path(formation.RecipientsFile))
	}
	return judge.Attributes(people)
}

// tellGit adds to the batch what .gitignore and .gitattributes lack, by git's
// own word. Outside a repository there is nothing to do.
func (w *writing) tellGit(ctx context.Context) error {
	layout, ok := w.s.where()
	unfilter := w.fresh || w.s.unfilter
	if !ok || !unfilter && w.plainlyTold(layout) {
		return nil
	}
	repo, err := w.s.repository()
	if err != nil || repo == nil {
		return err
	}
	vault := w.Path(formation.VaultFile)
	by, err := repo.IgnoredBy(ctx, []string{w.Path(formation.KeyFile), vault, w.Path(w.Formation.File)})
	if err != nil {
		return err
	}
	if w.fresh && by[1] != "" && by[2] == "" {
		w.s.warn("git ignores %s: nobody else will have it", w.s.show(vault))
		w.s.hint("'git add -f %s' takes it in", w.s.argument(vault))
	}
	// What this clone alone knows is no news to the others; what all of a person's
	// clones know needs no line in this one.
	ignored := by[0] != "" && !layout.OursAlone(by[0])
	w.excluded = ignored && !layout.InWorkTree(by[0])
	lines := w.attributeLines()
	var paths []string
	for _, line := range lines {
		paths = append(paths, w.Path(line.File))
	}
	set, err := repo.Attributes(ctx, paths, append(judge.FilterNames(), "diff", "merge", "text"))
	if err != nil {
		return err
	}
	// Only now the first temp file: no git of ours runs beside one.
	if !ignored {
		if err := w.addLines(".gitignore", formation.KeyFile); err != nil {
			return err
		}
	}
	var missing []string
	for i, line := range lines {
		if !line.In(set[i]) {
			missing = append(missing, line.File+" "+line.Attributes)
		}
		if filters := judge.FiltersIn(set[i]); unfilter && len(filters) > 0 {
			missing = append(missing, line.File+" "+judge.WithoutFilters(filters))
		}
	}
	return w.addLines(".gitattributes", missing...)
}

// plainlyTold reports whether the formation's own .gitignore and .gitattributes
// leave no doubt about git's answer, so that two runs of git can be spared:
// nothing is stronger than a folder's own file but a later line in it
// (gitignore(5), gitattributes(5)), and for attributes $GIT_DIR/info/attributes.
func (w *writing) plainlyTold(layout gitutil.Layout) bool {
	lines := func(name string) []string {
		info, err := os.Lstat(w.Path(name))
		if err != nil || !info.Mode().IsRegular() {
			return nil // git follows no link here
		}
		content, err := os.ReadFile(w.Path(name))
		if err != nil {
			return nil
		}
		return strings.Split(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n")
	}
	ignored := false
	for _, line := range lines(".gitignore") {
		ignored = line == formation.KeyFile || ignored && !strings.HasPrefix(line, "!")
	}
	if !ignored {
		return false
	}
	if there, err := paths.Exists(filepath.Join(layout.CommonDir, "info", "attributes")); err != nil || there {
		return false
	}
	ours := map[string]bool{}
	for _, line := range w.attributeLines() {
		ours[line.File+" "+line.Attributes] = true
	}
	told := map[string]bool{}
	for _, line := range lines(".gitattributes") {
		switch {
		case ours[line]:
			told[line] = true
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#"):
			clear(told) // it may overrule what stands before it
		}
	}
	return len(told) == len(ours)
}

// addLines appends lines that a git file of the formation does not have yet,
// in the file's own line endings.
func (w *writing) addLines(name string, lines ...string) error {
	path := w.Path(name)
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 && len(lines) > 0 {
		if w.fresh {
			return failed(nil, "'%s' is a symbolic link, which git does not follow: a new key would not be ignored; nothing was changed", w.s.show(path)).
				hint("put a file in its place, or have a .gitignore above ignore %s", formation.KeyFile)
		}
		w.s.warn("%s is a symbolic link, which git does not follow: it lacks '%s'", w.s.show(path), strings.Join(lines, "', '"))
		w.s.hint("move it away: '%s'; then '%s init' writes a file", w.s.shell().Move(w.s.argument(path), w.s.argument(path+".link")), w.s.callOn(w.Formation))
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &safefile.Error{Op: "read", Path: path, Err: err}
	}
	have := map[string]bool{}
	for _, line := range strings.Split(string(content), "\n") {
		have[strings.TrimRight(line, "\r")] = true
	}
	text := content
	for _, line := range lines {
		if have[line] {
			// A line behind it takes it back: a person's word, not ours to undo.
			w.s.warn("%s has '%s', but git follows a later line that says otherwise", w.s.show(path), line)
			continue
		}
		text = appendLine(text, line)
		w.done = append(w.done, fmt.Sprintf("Added '%s' to %s", line, w.s.show(path)))
	}
	if len(text) == len(content) {
		return nil
	}
	return w.batch.Replace(path, text, 0o644)
}

// appendLine puts a line behind a file's last one, with the line ending that the
// file has.
func appendLine(content []byte, line string) []byte {
	ending := "\n"
	if bytes.Contains(content, []byte("\r\n")) {
		ending = "\r\n"
	}
	text := slices.Clone(content)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, ending...)
	}
	return append(text, line+ending...)
}

// ensureDrivers gives this clone's git the diff and merge drivers that
// .gitattributes speaks of. Every command that writes sees to it; where that
// fails, it has done its own work all the same.
func (s *session) ensureDrivers(ctx context.Context) {
	s.setDrivers(ctx, hooks.Missing, hooks.Outdated)
}

// setDrivers writes the drivers where they stand as one of the states says.
func (s *session) setDrivers(ctx context.Context, lacking ...hooks.State) {
	layout, ok := s.where()
	if !ok {
		return
	}
	state, err := hooks.LookAtDrivers(ctx, layout, s.repository)
	if err == nil && !slices.Contains(lacking, state) {
		return
	}
	git := s.git()
	if git == nil {
		return
	}
	if err == nil {
		err = hooks.SetDrivers(ctx, git, ownProgram())
	}
	if err != nil {
		s.warn("git's diff and merge drivers could not be set: %s", s.explain(err).Lines[0])
		s.hint("'%s hooks install' tries again", s.anywhere())
	}
}
