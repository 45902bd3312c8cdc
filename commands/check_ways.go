package commands

import (
	"cmp"
	"context"
	"fmt"
	"math"
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

// sayRules says how many findings each rule has, and what mends them: what extract
// can do, or what mends most of them, and below that what else mends how many.
func (s *session) sayRules(found []scan.Finding) {
	if s.quiet {
		return
	}
	say := func(format string, values ...any) {
		fmt.Fprintln(s.Err, fold(s.Err, sanitize(fmt.Sprintf(format, values...))))
	}
	for _, rule := range scan.Rules() {
		ways := s.ways(found, func(f scan.Finding) bool { return f.Rule == rule }, func(f scan.Finding) bool {
			return f.Commit == "" || !isLeak(rule) // what stands in commits has its own ways out
		})
		slices.SortStableFunc(ways, func(a, b *way) int { return cmp.Compare(b.weight(), a.weight()) })
		total := 0
		for _, w := range ways {
			total += w.count
		}
		for i, w := range ways {
			switch {
			case i == 0 && w.text == "":
				say("%4d %s", total, rule)
			case i == 0:
				say("%4d %s: %s", total, rule, w.text)
			case w.text != "":
				say("     %d of these: %s", w.count, w.text)
			}
			if len(w.files) > 0 {
				say("     %s", w.others())
			}
		}
	}
}

// way is a way out of findings: a remedy.
type way struct {
	text  string // "" for none
	kind  string // those of one kind differ by the file and the formation alone
	all   string // the text for any formation; "" where it needs none
	file  string // what git takes for the finding's file
	named bool   // the text names it

	count int      // of the findings that it mends
	files []string // the same for these
}

// weight orders the ways out of one rule's findings.
func (w *way) weight() int {
	switch {
	case w.text == "":
		return 0
	case w.kind == extractKind:
		return math.MaxInt
	}
	return w.count
}

// Of the ways out so much fits a screen.
const (
	maxWays      = 3 // of one kind, each for another formation
	maxSaidFiles = 4
)

// others says what else a way out mends.
func (w *way) others() string {
	names := strings.Join(w.files[:min(len(w.files), maxSaidFiles)], ", ")
	if n := len(w.files) - maxSaidFiles; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	return "the same for " + names
}

// ways are the remedies of some of what was found, each once, in the order of the
// findings; those that have none, or are not asked, are counted under the empty text.
func (s *session) ways(found []scan.Finding, about, ask func(scan.Finding) bool) (all []*way) {
	layout, _ := s.where()
	asked := 0
	for _, f := range found {
		if !about(f) {
			continue
		}
		var next way
		switch {
		case followsStep(found, f) || !ask(f):
		case asked == doctor.MaxAsked:
			next.text = "more like those: mend those first"
		default:
			asked++
			next = s.wayOut(f, filepath.Join(layout.Top, filepath.FromSlash(f.Subject())))
		}
		at := slices.IndexFunc(all, func(w *way) bool {
			return w.text == next.text || next.named && w.named && w.kind == next.kind
		})
		if at < 0 {
			at = len(all)
			all = append(all, &next)
		} else if w := all[at]; w.named && w.file != next.file && !slices.Contains(w.files, next.file) {
			w.files = append(w.files, next.file)
		}
		all[at].count++
	}

	for i := 0; i < len(all); i++ {
		all = fewer(all, i)
	}
	return all
}

// fewer makes one way of too many that differ from one of them by the formation alone.
func fewer(all []*way, at int) []*way {
	first := all[at]
	same := func(w *way) bool { return first.kind != "" && w.kind == first.kind }
	several := slices.DeleteFunc(slices.Clone(all), func(w *way) bool { return !same(w) })
	if len(several) <= maxWays {
		return all
	}
	for _, w := range several[1:] {
		first.count += w.count
		if first.all == "" && !slices.Contains(append(first.files, first.file), w.file) {
			first.files = append(first.files, w.file)
		}
	}
	first.text = cmp.Or(first.all, first.text)
	return slices.DeleteFunc(all, func(w *way) bool { return w != first && same(w) })
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
	var unpushed, elsewhere, values, keys []scan.Finding
	for _, f := range leaks {
		if own[f.Commit] {
			unpushed = append(unpushed, f)
			continue
		}
		if branch := beside[f.Commit]; branch != "" {
			if name := strings.TrimPrefix(branch, "refs/heads/"); !slices.Contains(branches, name) {
				branches = append(branches, name)
			}
			elsewhere = append(elsewhere, f)
			continue
		}
		if f.Rule == scan.KeyFile || f.Rule == scan.KeyMaterial {
			keys = append(keys, f)
		} else {
			values = append(values, f)
		}
	}
	if len(unpushed) > 0 {
		s.hint("commits that no remote has: %s", s.anew(unpushed, ""))
	}
	if len(branches) > 0 {
		s.hint("commits that no remote has, in %s alone: %s; 'git branch -D %s' forgets them",
			list(branches), s.anew(elsewhere, "there "), s.shell().Escape(branches[0]))
	}
	if len(values) > 0 {
		store := "store the new ones"
		if on, _ := s.callFor(values...); on != "" {
			store = fmt.Sprintf("'%s add NAME'", on)
		}
		s.hint("what was pushed is known: have those values replaced where they come from, then %s", store)
	}
	foreign := func(f scan.Finding) bool { return f.Foreign }
	if slices.ContainsFunc(keys, foreign) {
		s.hint("a private key that was pushed is known: make a new one where it is used")
	}
	if keys = slices.DeleteFunc(keys, foreign); len(keys) > 0 {
		s.hint("a key that was pushed opens what it sealed: %s", renews(s.callFor(keys...)))
	}
}

// anew says what makes commits again without the leaks that they have: 'scrub' for
// what it can take out, and it does nothing before the rest is gone.
func (s *session) anew(leaks []scan.Finding, there string) string {
	scrub := fmt.Sprintf("'%s scrub' %smakes them again without it", s.anywhere(), there)
	switch some, other := slices.ContainsFunc(leaks, scrubs), slices.ContainsFunc(leaks, func(f scan.Finding) bool { return !scrubs(f) }); {
	case !other:
		return scrub
	case some:
		return "change those by hand where a file's name is the leak, or it is in an archive ('git rebase -i'); then " + scrub
	}
	return "change them by hand ('git rebase -i'), since a file's name is the leak, or it is in an archive"
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

// extractKind is the kind of what extract mends.
const extractKind = "extract"

// extracts says what extract does for a finding.
const extracts = "'%s' moves what stands in the formation's files into the vault and leaves references"

// wayOut is the remedy of a finding: extract wherever that can do it. full is its
// file.
func (s *session) wayOut(f scan.Finding, full string) way {
	file, git := s.argument(full), func(words string) string { return s.gitOn(words, full) }
	w := way{file: file, kind: strings.Join([]string{string(f.Rule), string(f.Broken), string(f.Where), fmt.Sprint(f.Foreign)}, " ")}
	on, all := s.callFor(f)
	if f.Foreign {
		on, all = "", "" // no formation has such a key
	}
	switch owner := s.movable(f); {
	case f.Remedy.Stage && strings.ContainsFunc(file, unicode.IsControl):
		return way{text: "the file on disk is without it: 'git add' stages that"} // no line to type has its name
	case f.Remedy.Stage:
		w.text, w.kind = fmt.Sprintf("the file on disk is without it: '%s' stages that", git("git add")), "stage"
	case f.Rule == scan.TemplateValue && f.Remedy.Command != "":
		return way{} // said behind its message
	case owner != nil:
		w.text, w.kind = fmt.Sprintf(extracts, s.on(owner.Dir)+" extract"), extractKind
		w.all = fmt.Sprintf(extracts, s.anywhere()+" extract --all")
	case brokenVault(f) && s.fromGit(full) == "":
		why, next := ", since it may hold values", imports(f, s.shell(), on)
		if f.Broken != crypto.NotSealed {
			why, next = "", s.backedUp(f, on)
		}
		w.text = fmt.Sprintf("move it away%s ('%s'), and out of what is to be committed ('%s')%s",
			why, s.shell().MoveHome(file), git("git rm --cached --ignore-unmatch"), next)
		w.kind += " new"
	case (f.Rule == scan.KeyFile || f.Foreign) && f.Where == "" && !s.knownToGit(f.Path):
		w.text, w.kind = fmt.Sprintf("move the key out, since git does not track it yet: '%s'; '%s' where it is a copy that nobody needs", s.shell().MoveHome(file), s.shell().Remove(file)), w.kind+" untracked"
	default:
		tells, back := "", git("git restore --staged --worktree")
		if brokenVault(f) {
			back = s.fromGit(full)
		}
		switch f.Rule {
		case scan.GitFiles, scan.KeyNotIgnored:
			tells = s.tellsGit(s.owner(f.Subject()))
		}
		w.text = remedy(f, remedyCalls{s.shell(), on, all, tells, file, back, git})
		w.all = remedy(f, remedyCalls{s.shell(), "", s.anywhere(), "", file, back, git})
	}
	w.named = strings.Contains(w.text, " "+file+"'") || strings.Contains(w.text, " "+s.gitArgument(full)+"'")
	return w
}

// brokenVault reports whether a sealed file on disk, or in the index, is nothing to
// open.
func brokenVault(f scan.Finding) bool {
	switch f.Broken {
	case crypto.NotSealed, crypto.EmptyFile, crypto.Truncated:
		return f.Rule == scan.VaultNotEncrypted && f.Path != "" && f.Commit == ""
	}
	return false
}

// backedUp says where a sealed file comes from that git has no whole one of.
func (s *session) backedUp(f scan.Finding, on string) string {
	text := "; bring the whole one back from a backup"
	switch {
	case on == "":
		return text
	case path.Base(f.Path) == formation.VaultFile:
		return fmt.Sprintf("%s, or, where there is none, '%s init' begins an empty one", text, on)
	}
	return fmt.Sprintf("%s, or, where there is none, '%s share wrap' makes it again", text, on)
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
