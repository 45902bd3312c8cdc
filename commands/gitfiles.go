package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/wildmatch"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// tellGit adds to the batch what .gitignore and .gitattributes lack. Outside a
// repository there is nothing to do.
func (w *writing) tellGit(ctx context.Context) error {
	layout, ok := w.s.where()
	if !ok {
		return nil
	}
	people := w.sharing || paths.There(w.Path(formation.RecipientsFile))
	lines := map[string][]string{}
	for _, lacking := range judge.LackingOnDisk(layout, w.Dir, people) {
		lines[path.Base(lacking.Path)] = lacking.Lines
	}
	attributes := lines[".gitattributes"]
	if w.fresh || w.s.unfilter {
		here, err := w.overruled(ctx, judge.Attributes(people))
		if err != nil {
			return err
		}
		for _, line := range here {
			if !slices.Contains(attributes, line) {
				attributes = append(attributes, line)
			}
		}
	}
	// Only now the first temp file: no git of ours runs beside one.
	if err := w.addLines(".gitignore", lines[".gitignore"]...); err != nil {
		return err
	}
	return w.addLines(".gitattributes", attributes...)
}

// overruled are the lines of .gitattributes that git's own word asks for: those that
// something else in this clone is stronger than, and those that take a filter back.
func (w *writing) overruled(ctx context.Context, attributes []judge.FileAttributes) (lines []string, err error) {
	repo, err := w.s.repository()
	if err != nil || repo == nil {
		return nil, err
	}
	if w.fresh {
		vault := w.Path(formation.VaultFile)
		ignored, err := repo.Ignored(ctx, []string{vault, w.Path(w.Formation.File)})
		if err != nil {
			return nil, err
		}
		if ignored[0] && !ignored[1] {
			w.s.warn("git ignores %s: nobody else will have it", w.s.show(vault))
			w.s.hint("'%s' takes it in", w.s.gitOn("git add -f", vault))
		}
	}
	var files []string
	for _, line := range attributes {
		files = append(files, w.Path(line.File))
	}
	set, err := repo.Attributes(ctx, files, append(judge.FilterNames(), "diff", "merge", "text"))
	if err != nil {
		return nil, err
	}
	for i, line := range attributes {
		if !line.In(set[i]) {
			lines = append(lines, line.String())
		}
		if filters := judge.FiltersIn(set[i]); len(filters) > 0 {
			lines = append(lines, line.File+" "+judge.WithoutFilters(filters))
		}
	}
	return lines, nil
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
		w.s.hint("move it away: '%s'; then '%s' writes a file", w.s.shell().Move(w.s.argument(path), w.s.argument(path+".link")), w.s.tellsGit(w.Formation))
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
			if w.fresh && line == formation.KeyFile {
				return w.keyTakenBack(path, content)
			}
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

// keyTakenBack refuses to make a key that git would take in, because of a line in a
// .gitignore.
func (w *writing) keyTakenBack(ignore string, content []byte) error {
	at, by := 0, ""
	for i, line := range strings.Split(string(content), "\n") {
		if p, ok := wildmatch.Line(line, "", false); ok && p.Negated && p.Match(formation.KeyFile, false) {
			at, by = i+1, strings.TrimSuffix(line, "\r")
		}
	}
	e := failed(nil, "line %d of '%s' ('%s') has git take a new key in; nothing was changed", at, w.s.show(ignore), by)
	if bytes.HasSuffix(content, []byte("\n")) {
		return e.hint("take that line out, or overrule it: '%s'", w.s.shell().Append(formation.KeyFile, w.s.argument(ignore)))
	}
	return e.hint("take that line out")
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
