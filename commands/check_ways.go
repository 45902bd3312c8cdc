package commands

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/muxi-ai/git-muxi-secrets/commands/doctor"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// sayRules says how many findings each rule has, and what mends the first of them,
// or most of them.
func (s *session) sayRules(found []scan.Finding) {
	if s.quiet {
		return
	}
	layout, _ := s.where()
	for _, rule := range scan.Rules() {
		count, text, extract := 0, "", false
		for _, f := range found {
			if f.Rule != rule {
				continue
			}
			count++
			if f.Commit != "" && isLeak(rule) {
				continue // what stands in commits has its own ways out
			}
			if followsStep(found, f) || extract || count > doctor.MaxAsked {
				continue
			}
			if way, kind := s.wayOut(f, s.argument(filepath.Join(layout.Top, filepath.FromSlash(f.Subject())))); text == "" || kind == "extract" {
				text, extract = way, kind == "extract"
			}
		}
		if count == 0 {
			continue
		}
		line := fmt.Sprintf("%4d %s", count, rule)
		if text != "" {
			line += ": " + text
		}
		fmt.Fprintln(s.Err, fold(s.Err, sanitize(line)))
	}
}

// hintCommitted says what to do about leaks in commits: in those that nobody has
// yet, and in those that others have.
func (s *session) hintCommitted(ctx context.Context, repo gitutil.Repository, report *judge.Report, o checkOptions) {
	leaks := slices.DeleteFunc(slices.Clone(report.Findings), func(f scan.Finding) bool { return f.Commit == "" || !isLeak(f.Rule) })
	if o.format != "text" || len(leaks) == 0 {
		return
	}

	own, beside, err := s.unpushed(ctx, repo, leaks)
	if err != nil {
		own, beside = nil, nil // a shallow clone: whoever made it has a remote
	}
	var branches []string // other ones, that have leaks which no remote has
	var unpushed, key bool
	pushed := "" // how the program is called where it was
	for _, f := range leaks {
		if own[f.Commit] {
			unpushed = true
			continue
		}
		if branch := beside[f.Commit]; branch != "" {
			if name := strings.TrimPrefix(branch, "refs/heads/"); !slices.Contains(branches, name) {
				branches = append(branches, name)
			}
			continue
		}
		if pushed == "" || s.owner(f.Path) != nil {
			pushed = s.onPath(f.Path)
		}
		key = key || f.Rule == scan.KeyFile || f.Rule == scan.KeyMaterial
	}
	if unpushed {
		s.hint("commits that no remote has: '%s scrub' makes them again without it", s.anywhere())
	}
	if len(branches) > 0 {
		s.hint("commits that no remote has, in %s alone: '%s scrub' there makes them again without it; 'git branch -D %s' forgets them",
			list(branches), s.anywhere(), s.shell().Escape(branches[0]))
	}
	if pushed != "" {
		s.hint("what was pushed is known: have those values replaced where they come from, then '%s add NAME'", pushed)
	}
	if key {
		s.hint("a key that was pushed opens what it sealed: '%s rotate' makes a new one from now on", pushed)
	}
}

// unpushed are the commits of leaks that no remote has, among others: HEAD's own, and
// for those that only other branches have, the first of these. Where there is no
// remote, all are own, and nobody has to walk the history to know it.
func (s *session) unpushed(ctx context.Context, repo gitutil.Repository, leaks []scan.Finding) (own map[string]bool, beside map[string]string, err error) {
	own, beside = map[string]bool{}, map[string]string{}
	branches, err := repo.Branches(ctx)
	if err != nil {
		return nil, nil, err
	}
	isRemote := func(ref gitutil.Ref) bool { return strings.HasPrefix(ref.Name, "refs/remotes/") }
	if !slices.ContainsFunc(branches, isRemote) {
		for _, f := range leaks {
			own[f.Commit] = true
		}
		return own, beside, nil
	}
	err = repo.Commits(ctx, gitutil.Range{Unpushed: true}, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		own[c.Hash] = true
		return nil
	}})
	if err != nil || !slices.ContainsFunc(leaks, func(f scan.Finding) bool { return !own[f.Commit] }) {
		return own, beside, err
	}

	for _, branch := range slices.DeleteFunc(branches, isRemote) {
		span := gitutil.Range{Include: []string{branch.ID}, Exclude: []string{"HEAD"}, Unpushed: true}
		err := repo.Commits(ctx, span, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
			if beside[c.Hash] == "" {
				beside[c.Hash] = branch.Name
			}
			return nil
		}})
		if err != nil {
			return nil, nil, err
		}
	}
	return own, beside, nil
}

// isLeak reports whether a rule speaks of something that others must not read.
func isLeak(rule scan.Rule) bool {
	switch rule {
	case scan.KeyFile, scan.KeyMaterial, scan.KnownSecret, scan.PlaintextKey, scan.TemplateValue:
		return true
	}
	return false
}

// followsStep reports whether a finding about people goes away with the key-out-of-step
// of its formation, whose remedy is said: another one would sign what that takes back.
func followsStep(all []scan.Finding, f scan.Finding) bool {
	return f.Rule == scan.UnvouchedPeople && slices.ContainsFunc(all, func(other scan.Finding) bool {
		return other.Rule == scan.KeyOutOfStep && path.Dir(other.Path) == path.Dir(f.Path)
	})
}

// extracts says what extract does for a finding.
const extracts = "'%s extract' moves what stands in the formation's files into the vault and leaves references"

// wayOut is the remedy of a finding, and what kind of one it is: extract wherever
// that can do it. file is what git takes for its file.
func (s *session) wayOut(f scan.Finding, file string) (text, kind string) {
	if f.Remedy.Stage && strings.ContainsFunc(file, unicode.IsControl) {
		return "the file on disk is without it: 'git add' stages that", "stage" // no line to type has its name
	}
	if f.Remedy.Stage {
		return fmt.Sprintf("the file on disk is without it: 'git add %s' stages that", file), "stage"
	}
	if f.Rule == scan.TemplateValue && f.Remedy.Command != "" {
		return "", "" // said behind its message
	}
	if owner := s.movable(f); owner != nil {
		return fmt.Sprintf(extracts, s.on(owner.Dir)), "extract"
	}
	if f.Rule == scan.VaultNotEncrypted && f.Path != "" && f.Commit == "" && f.Broken == crypto.NotSealed && !s.atHead(f.Path) {
		on, sh := s.onPath(f.Path), s.shell()
		return fmt.Sprintf("move it away, since it may hold values ('%s'), and out of what is to be committed ('git rm --cached --ignore-unmatch %s'); '%s import %s' takes values in", sh.MoveHome(file), file, on, sh.AtHome(path.Base(f.Path))), string(f.Rule) + "new"
	}
	if f.Rule == scan.KeyFile && f.Where == "" && !s.knownToGit(f.Path) {
		return fmt.Sprintf("move the key out, since git does not track it yet: '%s'; '%s' where it is a copy that nobody needs", s.shell().MoveHome(file), s.shell().Remove(file)), "untracked key"
	}
	return remedy(f, s.shell(), s.onPath(f.Subject()), file), string(f.Rule) + string(f.Broken)
}

// knownToGit reports whether git tracks a file of the work tree, by its path from the
// top; also where that cannot be told, or where there is no such file on disk: then
// the index or a commit is what was looked at.
func (s *session) knownToGit(file string) bool {
	layout, ok := s.where()
	full := filepath.Join(layout.Top, filepath.FromSlash(file))
	if !ok || layout.Top == "" || !paths.There(full) {
		return true
	}
	tracked, err := s.tracks(s.ctx, full)
	return err != nil || tracked
}

// movable is the formation out of whose file extract takes what a finding speaks of;
// nil where it stands in no such file, or where no reference can stand in for it.
func (s *session) movable(f scan.Finding) *formation.Formation {
	switch f.Rule {
	case scan.KnownSecret, scan.PlaintextKey, scan.TemplateValue:
	default:
		return nil
	}
	owner := s.owner(f.Path)
	if owner == nil || f.Where != "" {
		return nil
	}
	layout, _ := s.where()
	rel, ok := paths.Below(owner.Dir, filepath.Join(layout.Top, filepath.FromSlash(f.Path)))
	if !ok || rel != formation.TemplateFile && !formation.MayRefer(rel) {
		return nil
	}
	if rel == formation.TemplateFile {
		return owner
	}
	if file, err := readForExtract(owner, rel); err != nil || !swappable(rel, file.content, f) {
		return nil
	}
	return owner
}

// swappable asks what extract asks: whether a reference can stand in for what a
// finding speaks of, in the file at rel below the formation's folder.
func swappable(rel string, content []byte, f scan.Finding) bool {
	start, end, ok := f.Span()
	if !ok {
		return false // not written in bytes that can be swapped
	}
	_, failed := formation.Pieces(rel, content, []formation.Span{{Start: start, End: end}})
	return failed[0] == nil
}
