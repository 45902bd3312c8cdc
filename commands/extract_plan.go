package commands

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// extractPlan is what extract would move, value by value, in the order in which
// the files have them.
type extractPlan struct {
	moves []*move
	files []*extractFile
	left  []string // what cannot be moved: where, and why
	vault *formation.Vault
}

// move is one value: all of its places get one name.
type move struct {
	value  string
	wanted string // what its first place would have it called
	name   string // "" leaves it
	stored bool   // under that name, before
	places []place
}

// late is 1 for a value that stands in comments alone.
func (m *move) late() int {
	if slices.ContainsFunc(m.places, func(p place) bool { return !p.piece.Comment }) {
		return 0
	}
	return 1
}

// place is where a value stands.
type place struct {
	file    *extractFile
	literal scan.Literal
	piece   formation.Piece // none in the template
}

// extractFile is one file of the formation as it was read.
type extractFile struct {
	path    string // below the formation's folder, with the system's separators
	full    string
	content []byte
}

// planExtract looks for the literals of a formation, and gives each a name.
func (s *session) planExtract(ctx context.Context, opened *formation.Opened, only []string) (*extractPlan, error) {
	look, err := s.literalsOf(ctx, opened)
	if err != nil {
		return nil, err
	}
	f, plan := opened.Formation, &extractPlan{vault: opened.Vault}
	files, err := f.ReferenceFiles()
	if err != nil {
		return nil, err
	}
	if files, err = s.onlyNamed(f, append(files, formation.TemplateFile), only); err != nil {
		return nil, err
	}

	for _, name := range files {
		file, err := readForExtract(f, name)
		if _, large := errors.AsType[*safefile.TooLargeError](err); large {
			plan.left = append(plan.left, s.show(f.Path(filepath.FromSlash(name)))+": the file is too large to look at")
			continue
		}
		if err != nil {
			return nil, err
		}
		plan.files = append(plan.files, file)
		plan.take(s, file, look(name, file.content))
	}
	// What a comment keeps of earlier days takes no name from what is in use.
	slices.SortStableFunc(plan.moves, func(a, b *move) int { return cmp.Compare(a.late(), b.late()) })
	names := formation.NewNaming(plan.vault)
	for _, m := range plan.moves {
		m.name, m.stored = names.For(m.value, m.wanted)
		m.settle(names)
	}
	return plan, nil
}

// onlyNamed are the files that somebody named, of those that may hold a literal.
func (s *session) onlyNamed(f *formation.Formation, names, only []string) ([]string, error) {
	if len(only) == 0 {
		return names, nil
	}
	var kept []string
	for _, file := range only {
		rel, err := filepath.Rel(f.Dir, file)
		if err != nil || !filepath.IsLocal(rel) {
			if s.dir == "" {
				continue // another formation's, which has its own turn
			}
			return nil, usage("'%s' is no file of %s", s.show(file), s.name(f)).hint("leave -C out: the file says which formation is meant")
		}
		if !paths.There(file) {
			return nil, noSuchFile()
		}
		if rel = filepath.ToSlash(rel); !slices.Contains(names, rel) {
			return nil, usage("'%s' is no file that the runtime reads references from", s.show(file)).
				hint("name the formation's file, one of agents/, mcp/, a2a/, transformers/ or triggers/, or no file for all of them")
		}
		if !slices.Contains(kept, rel) {
			kept = append(kept, rel)
		}
	}
	return kept, nil
}

func readForExtract(f *formation.Formation, name string) (*extractFile, error) {
	local := filepath.FromSlash(name)
	file := &extractFile{path: local, full: f.Path(local)}
	if name == formation.TemplateFile {
		_, content, _, err := f.ReadTemplate()
		file.content = content
		return file, err
	}
	content, err := safefile.Read(file.full, safefile.MaxSize)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: file.full, Err: err}
	}
	file.content = content
	return file, nil
}

// literalsOf gives a look for literals by the rules of check: what a comment or
// the team's settings allow is none.
func (s *session) literalsOf(ctx context.Context, opened *formation.Opened) (func(name string, content []byte) []scan.Literal, error) {
	known := func() *scan.Known {
		var values []scan.NamedValue
		for _, name := range opened.Vault.Names() {
			if value, _, err := opened.Vault.Get(name); err == nil {
				values = append(values, scan.NamedValue{Name: name, Value: []byte(value)})
			}
		}
		return scan.NewKnown(values)
	}
	scanner, prefix := &scan.Scanner{IsFormation: func(dir string) bool { return dir == "." }}, "."
	allows := func(scan.Literal, string) bool { return false }

	repo, err := s.repository()
	if err != nil {
		return nil, err
	}
	if layout, ok := s.where(); ok && repo != nil && layout.Top != "" {
		basis := s.onDisk
		if basis == nil {
			if basis, err = judge.BasisOnDisk(ctx, repo); err != nil {
				return nil, err
			}
			s.onDisk = basis
		}
		scanner, prefix = basis.Scanner, s.fromTop(layout, opened.Dir)
		allows = func(l scan.Literal, file string) bool {
			return basis.Settings.Allows(string(l.Rule), file, l.Fingerprint)
		}
	}
	if scanner.Known == nil {
		scanner.Known = known()
	}
	return func(name string, content []byte) []scan.Literal {
		file := path.Join(prefix, name)
		return slices.DeleteFunc(scanner.Literals(file, content), func(l scan.Literal) bool {
			return l.Silenced != "" || allows(l, file)
		})
	}, nil
}

// take brings the literals of one file into the plan.
func (p *extractPlan) take(s *session, file *extractFile, literals []scan.Literal) {
	stays := func(l scan.Literal, why any) {
		p.left = append(p.left, fmt.Sprintf("%s:%d: %v", s.show(file.full), l.Line, why))
	}
	typed := map[int]string{}
	spans := make([]formation.Span, len(literals))
	for i, l := range literals {
		spans[i] = l.Span()
	}
	var pieces []formation.Piece
	var failed []error
	if file.path == formation.TemplateFile {
		for _, a := range formation.ParseTemplate(file.content).Typed() {
			typed[a.Line] = a.Value
		}
	} else {
		pieces, failed = formation.Pieces(filepath.ToSlash(file.path), file.content, spans)
	}

	for i, l := range literals {
		next := place{file: file, literal: l}
		var value string
		switch {
		case pieces == nil:
			value = typed[l.Line]
			if !l.IsTemplate() || value == "" {
				stays(l, "no line of a template that can be read as NAME=VALUE")
				continue
			}
		case failed[i] != nil:
			stays(l, failed[i])
			continue
		case !l.Filled && filepath.Ext(file.path) != ".md":
			stays(l, "the runtime fills in no reference there")
			continue
		default:
			next.piece, value = pieces[i], pieces[i].Value
		}
		if err := s.checkValue(value); err != nil {
			stays(l, err)
			continue
		}
		p.add(next, value)
	}
}

// add puts a place to its value, or makes a move for a value that is new.
func (p *extractPlan) add(at place, value string) {
	for _, m := range p.moves {
		if m.value == value {
			m.places = append(m.places, at)
			return
		}
	}
	wanted := at.literal.Proposal(filepath.ToSlash(at.file.path), value)
	p.moves = append(p.moves, &move{value: value, wanted: wanted, places: []place{at}})
}

// edits are the files with references in place of what is moved.
func (p *extractPlan) edits() []formation.Edit {
	var edits []formation.Edit
	for _, file := range p.files {
		var pieces []formation.Piece
		var names []string
		for _, m := range p.moves {
			for _, at := range m.places {
				if at.file == file && m.name != "" && !at.literal.IsTemplate() {
					pieces, names = append(pieces, at.piece), append(names, m.name)
				}
			}
		}
		if len(pieces) > 0 {
			edits = append(edits, formation.Edit{Path: file.full, Content: formation.Splice(file.content, pieces, names)})
		}
	}
	return edits
}

// template tells which lines of the template have been asked about, and takes the
// values off those that are moved.
func (p *extractPlan) template() (answered map[int]bool, edit func(*formation.Template)) {
	answered = map[int]bool{}
	var moved []int
	for _, m := range p.moves {
		for _, at := range m.places {
			if !at.literal.IsTemplate() {
				continue
			}
			answered[at.literal.Line] = true
			if m.name != "" {
				moved = append(moved, at.literal.Line)
			}
		}
	}
	return answered, func(t *formation.Template) {
		for _, line := range moved {
			t.Empty(line)
		}
	}
}

// unchanged fails where a file, or what a name stands for, is not as it was when
// the plan was made.
func (p *extractPlan) unchanged(w *writing) error {
	changed := func(what string) error {
		return failed(nil, "%s changed meanwhile; nothing was moved", what).hint("run the command again: '%s extract'", w.s.again())
	}
	for _, file := range p.files {
		now, err := readForExtract(w.Formation, filepath.ToSlash(file.path))
		if err != nil {
			return err
		}
		if !bytes.Equal(now.content, file.content) {
			return changed("'" + w.s.show(file.full) + "'")
		}
	}
	now := formation.NewNaming(w.Vault)
	for _, m := range p.moves {
		if m.name != "" && (now.Taken(m.name, m.value) || m.stored && !now.Has(m.name, m.value)) {
			return changed(m.name)
		}
	}
	return nil
}

// settle keeps the name that a value was given from the others.
func (m *move) settle(names *formation.Naming) {
	if m.name != "" {
		names.Take(m.name, m.value)
	}
}

// askMoves asks for each value what it is to be called. The end of the input
// leaves the rest where it is.
func (s *session) askMoves(ctx context.Context, f *formation.Formation, plan *extractPlan) error {
	terminal, err := s.openTerminal("see what it would do with '%[1]s extract --dry-run', and take all of it with '%[1]s extract --yes'", s.again())
	if err != nil {
		return err
	}
	defer terminal.Close()
	names := formation.NewNaming(plan.vault)
	for i, m := range plan.moves {
		m.name, m.stored = names.For(m.value, m.wanted)
		lines := s.moveLines(f, m)
		for _, line := range lines[:len(lines)-1] {
			terminal.Print(sanitize(line))
		}
		prompt := sanitize(lines[len(lines)-1]) + "  [Enter, another name, - to skip]: "
		for {
			answer, err := terminal.Ask(ctx, prompt, tty.Options{Last: i == len(plan.moves)-1})
			if errors.Is(err, tty.ErrEOF) {
				for _, rest := range plan.moves[i:] {
					rest.name = ""
				}
				return nil
			}
			if err != nil {
				return err
			}
			problem := s.answerName(strings.TrimSpace(answer), m, names)
			if problem == "" {
				break
			}
			terminal.Print(problem)
		}
		m.settle(names)
	}
	return nil
}

// answerName gives a value the name that an answer says; it returns why it cannot
// have that one.
func (s *session) answerName(answer string, m *move, names *formation.Naming) (problem string) {
	switch { // a yes or no is an answer, and no name
	case answer == "", isYes(answer):
		return ""
	case answer == "-", isNo(answer):
		m.name = ""
		return ""
	}
	name, err := s.nameArgument(answer)
	switch {
	case formation.KeyShape(answer) != "", scan.IsCredential("", answer), answer == m.value, names.Stored(answer):
		return "That looks like a value. A name is seen by everybody: OPENAI_API_KEY is one."
	case err != nil:
		return "That is no name: letters, digits and _ make one, as in OPENAI_API_KEY."
	case names.Taken(name, m.value):
		return name + " has another value; - leaves this one where it is."
	}
	m.name, m.stored = name, names.Has(name, m.value)
	return ""
}
