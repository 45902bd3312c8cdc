package commands

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/urfave/cli/v2"
)

// diffFormats are the forms that a diff can have.
var diffFormats = [...]string{"text", "json", "github"}

type diffOptions struct {
	revs     []string
	base     string
	format   string
	exitCode bool
}

func (r *runner) diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "show which secrets were added, changed or removed",
		UsageText: "[REV [REV] | --base REF] [--format " + strings.Join(diffFormats[:], "|") + "] [--exit-code] [--all]",
		Description: `   git muxi-secrets diff                        HEAD against the work tree
   git muxi-secrets diff HEAD~3                 an older commit against the work tree
   git muxi-secrets diff v1.0 v2.0              two commits
   git muxi-secrets diff --base origin/main     what a pull request changes

Values are compared, across rotations too, and never shown. --format github
writes a table to the job's summary in GitHub Actions. Exits 0 unless
--exit-code is given.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "base", Usage: "what changed between the point where the work left `REF` and HEAD"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT`: " + strings.Join(diffFormats[:], ", ")},
			&cli.BoolFlag{Name: "exit-code", Usage: "exit 1 when something changed"},
			jsonFlag(),
			allFlag(),
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			o := diffOptions{revs: c.Args().Slice(), base: c.String("base"), format: c.String("format"), exitCode: c.Bool("exit-code")}
			if c.Bool("json") {
				if c.IsSet("format") && o.format != "json" {
					return usage("--json and --format exclude each other").hint("give one of them")
				}
				o.format = "json"
			}
			switch {
			case !slices.Contains(diffFormats[:], o.format):
				return usage("--format is one of: %s", strings.Join(diffFormats[:], ", "))
			case c.IsSet("base") && o.base == "" || slices.Contains(o.revs, ""):
				return usage("a revision is missing").hint("see '%s -h'", c.Command.HelpName)
			case c.IsSet("base") && len(o.revs) > 0:
				return usage("--base goes with no other revision").hint("it compares with HEAD")
			case len(o.revs) > 2:
				return usage("'diff' takes one or two revisions").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.diff(ctx, o)
		}),
	}
}

// side is one of two versions of the repository that are compared.
type side struct {
	name   string // as it was asked for
	commit string // "" for the work tree, and where there is no commit yet
	disk   bool
	vaults map[string][]byte // sealed, by the formation's folder, from the top, with /
	keys   map[string][]byte // .key.age, likewise
	seed   maphash.Seed      // one for both sides
}

// difference is one formation in the JSON of diff.
type difference struct {
	Formation  string          `json:"formation"`
	From       string          `json:"from"`
	To         string          `json:"to"`
	FromCommit string          `json:"fromCommit"` // "" for the work tree
	ToCommit   string          `json:"toCommit"`
	Changes    []changedSecret `json:"changes"`
	MovedFrom  string          `json:"movedFrom,omitempty"` // the folder it had
	Rotated    bool            `json:"rotated"`
	Readable   bool            `json:"readable"` // false: what changed cannot be said
	Differs    bool            `json:"differs"`  // something changed
	Note       string          `json:"note,omitempty"`

	path string // from the top of the repository
}

type changedSecret struct {
	Name   string               `json:"name"`
	Change formation.ChangeKind `json:"change"`
}

func changedSecrets(changes []formation.Change) []changedSecret {
	list := []changedSecret{}
	for _, c := range changes {
		list = append(list, changedSecret{c.Name, c.Kind})
	}
	return list
}

func (s *session) diff(ctx context.Context, o diffOptions) error {
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	from, to, err := s.sides(ctx, repo, o)
	if err != nil {
		return s.explainHistory(err)
	}
	from.seed = maphash.MakeSeed()
	to.seed = from.seed
	dirs, err := s.diffDirs(ctx, repo, from, to)
	if err != nil {
		return s.explainHistory(err)
	}
	keys := s.keys()
	all := []difference{}
	progress := s.progress()
	for i, dir := range dirs {
		progress.step("comparing", i, len(dirs))
		d := s.diffOne(repo.Layout(), keys, dir, from, to)
		if d != nil {
			all = append(all, *d)
		}
	}
	progress.clear()
	if err := s.printDiff(all, from, to, o.format); err != nil {
		return err
	}
	if o.exitCode && slices.ContainsFunc(all, func(d difference) bool { return d.Differs }) {
		return exitCode(exitNo)
	}
	return nil
}

// sides resolves what is to be compared, as git-diff(1) takes it: A..B is A B,
// A...B is what B did since it left A.
func (s *session) sides(ctx context.Context, repo gitutil.Repository, o diffOptions) (from, to *side, err error) {
	revs := o.revs
	fork := o.base != ""
	if fork {
		revs = []string{o.base, "HEAD"}
	}
	if len(revs) == 1 {
		if a, b, ok := strings.Cut(revs[0], "..."); ok {
			revs, fork = []string{cmp.Or(a, "HEAD"), cmp.Or(b, "HEAD")}, true
		} else if a, b, ok := strings.Cut(revs[0], ".."); ok {
			revs = []string{cmp.Or(a, "HEAD"), cmp.Or(b, "HEAD")}
		}
	}
	switch len(revs) {
	case 0:
		if from, err = s.headSide(ctx, repo); err != nil {
			return nil, nil, err
		}
		to = &side{name: "work tree", disk: true}
	case 1:
		from, to = &side{name: revs[0]}, &side{name: "work tree", disk: true}
	default:
		from, to = &side{name: revs[0]}, &side{name: revs[1]}
	}
	if to.disk && repo.Layout().Top == "" {
		return nil, nil, usage("a bare repository has no work tree to compare with").hint("name two revisions")
	}
	for _, one := range []*side{from, to} {
		if one.disk || one.commit != "" || len(revs) == 0 {
			continue
		}
		if one.commit, err = repo.ResolveRev(ctx, one.name); err != nil {
			return nil, nil, err
		}
	}
	if fork {
		base, ok, err := repo.MergeBase(ctx, from.commit, to.commit)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			if len(repo.Layout().ShallowCommits()) > 0 {
				return nil, nil, errors.Join(err, &gitutil.ShallowError{Question: "where the work left '" + from.name + "'"})
			}
			base = from.commit // two histories that never met
		}
		from.commit = base
	}
	return from, to, nil
}

// headSide is HEAD; before the first commit it is empty.
func (s *session) headSide(ctx context.Context, repo gitutil.Repository) (*side, error) {
	commit, _, err := repo.Head(ctx)
	return &side{name: "HEAD", commit: commit}, err
}

// diffDirs says which formations are compared, and reads their vaults on both
// sides.
func (s *session) diffDirs(ctx context.Context, repo gitutil.Repository, from, to *side) ([]string, error) {
	layout := repo.Layout()
	var dirs []string
	only := "" // the one folder that is read
	if layout.Top != "" && (!s.all || s.dir != "") {
		formations, err := s.formations()
		if err != nil {
			return nil, err
		}
		for _, f := range formations {
			dirs = append(dirs, s.fromTop(layout, f.Dir))
		}
		if !s.all {
			only = dirs[0]
		}
	}
	for _, one := range []*side{from, to} {
		if err := one.read(ctx, repo, only); err != nil {
			return nil, err
		}
	}
	if only != "" && (from.vaults[only] == nil) != (to.vaults[only] == nil) {
		// It came or went: perhaps its folder had another name.
		for _, one := range []*side{from, to} {
			if err := one.read(ctx, repo, ""); err != nil {
				return nil, err
			}
		}
	}
	if len(dirs) > 0 {
		return dirs, nil
	}
	return s.vaultDirs(from, to)
}

// vaultDirs are the folders that have a vault on a side, from the top.
func (s *session) vaultDirs(sides ...*side) (dirs []string, err error) {
	for _, one := range sides {
		for dir := range one.vaults {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	if !s.all && len(dirs) > 1 { // a bare repository
		return nil, usage("there are %d formations and none was chosen", len(dirs)).hint("take them all with --all")
	}
	return dirs, nil
}

// fromTop is a folder's path from the top of the repository, with /.
func (s *session) fromTop(layout gitutil.Layout, dir string) string {
	return judge.Label(layout.Top, paths.Real(dir))
}

// read reads the vaults of a side: that of one formation, or all.
func (one *side) read(ctx context.Context, repo gitutil.Repository, only string) error {
	one.vaults, one.keys = map[string][]byte{}, map[string][]byte{}
	take := func(p string, data []byte) {
		if path.Base(p) == formation.VaultFile {
			one.vaults[path.Dir(p)] = bytes.Clone(data)
		} else {
			one.keys[path.Dir(p)] = bytes.Clone(data)
		}
	}
	if one.disk {
		return one.readDisk(repo.Layout(), only, take)
	}
	if one.commit == "" {
		return nil
	}
	below := only
	if below == "." {
		below = ""
	}
	return repo.TreeBlobs(ctx, one.commit, below, gitutil.Visitor{
		MaxBlob: maxSealed,
		Want: func(p string, _ gitutil.Mode) bool {
			base := path.Base(p)
			return (base == formation.VaultFile || base == formation.WrappedKeyFile) && (only == "" || path.Dir(p) == only)
		},
		Blob: func(b *gitutil.Blob) error {
			take(b.Path, b.Data)
			return nil
		},
	})
}

func (one *side) readDisk(layout gitutil.Layout, only string, take func(string, []byte)) error {
	var formations []*formation.Formation
	if only != "" {
		formations = append(formations, &formation.Formation{Dir: filepath.Join(layout.Top, filepath.FromSlash(only))})
	} else {
		formations = formation.Below(layout.Top, layout.Elsewhere)
	}
	for _, f := range formations {
		sealed, ok, err := f.ReadSealed()
		if err != nil {
			return err
		}
		dir := judge.Label(layout.Top, f.Dir)
		if ok {
			take(path.Join(dir, formation.VaultFile), append([]byte{}, sealed...))
		}
		if wrapped, err := safefile.Read(f.Path(formation.WrappedKeyFile), maxWrapped); err == nil {
			take(path.Join(dir, formation.WrappedKeyFile), wrapped)
		}
	}
	return nil
}

// open opens a side's vault of one formation; without one it holds nothing.
func (one *side) open(keys *history.Keys, dir string) *history.Version {
	sealed, ok := one.vaults[dir]
	if !ok {
		return &history.Version{}
	}
	vault, key, err := keys.Open(path.Join(dir, formation.VaultFile), sealed, func() []byte { return one.keys[dir] })
	v := &history.Version{Key: key, Err: err}
	if err == nil {
		v.Sums = vault.Sums(one.seed)
	}
	return v
}

// diffOne compares one formation; nil where neither side has it, or where it
// only went to another folder.
func (s *session) diffOne(layout gitutil.Layout, keys *history.Keys, dir string, from, to *side) *difference {
	d := &difference{path: dir, Formation: dir, From: from.name, To: to.name, FromCommit: from.commit, ToCommit: to.commit, Readable: true, Changes: []changedSecret{}}
	if layout.Top != "" {
		d.Formation = s.name(&formation.Formation{Dir: filepath.Join(layout.Top, filepath.FromSlash(dir))})
	}
	after, before, at := to.open(keys, dir), from.open(keys, dir), dir
	_, was := from.vaults[dir]
	_, is := to.vaults[dir]
	switch {
	case !was && is:
		if moved := movedFrom(keys, dir, from, to, after); moved != "" {
			at, before = moved, from.open(keys, moved)
			d.MovedFrom = moved
		}
	case was && !is && s.all && movedTo(keys, dir, from, to):
		return nil // it stands under its new name
	}
	same := bytes.Equal(from.vaults[at], to.vaults[dir]) && is == (from.vaults[at] != nil)
	if after.Err != nil || before.Err != nil {
		d.Readable, d.Differs, d.Note = false, !same, whyUnread(after.Err, before.Err)
		return d
	}
	d.Changes = changedSecrets(formation.DiffSums(before.Sums, after.Sums))
	d.Differs = len(d.Changes) > 0
	d.Rotated = before.Key != nil && after.Key != nil && !before.Key.Equal(after.Key)
	return d
}

// whyUnread says why a version is not shown, in words without a value.
func whyUnread(errs ...error) string {
	for _, err := range errs {
		switch reason := crypto.ReasonOf(err); {
		case err == nil:
			continue
		case reason.IsDamage():
			return fmt.Sprintf("a %s is no sealed file (%s)", formation.VaultFile, reason)
		}
		var content *formation.ContentError
		if errors.As(err, &content) {
			return fmt.Sprintf("a %s opens and holds no names and values", formation.VaultFile)
		}
	}
	return "it cannot be read with the keys here"
}

// movedFrom finds the folder that a vault had on the other side, among those
// that are gone.
func movedFrom(keys *history.Keys, dir string, from, to *side, after *history.Version) string {
	var dirs []string
	for other := range from.vaults {
		if _, still := to.vaults[other]; !still {
			dirs = append(dirs, other)
		}
	}
	slices.Sort(dirs)
	var gone []history.Gone
	for _, other := range dirs {
		gone = append(gone, history.Gone{Version: from.open(keys, other), Same: bytes.Equal(from.vaults[other], to.vaults[dir])})
	}
	appeared := 0
	for other := range to.vaults {
		if _, had := from.vaults[other]; !had {
			appeared++
		}
	}

	i := history.MovedFrom(after, gone, appeared == 1, func(int) bool { return false })
	if i < 0 {
		return ""
	}
	return dirs[i]
}

// movedTo reports whether a vault that is gone stands in another folder.
func movedTo(keys *history.Keys, dir string, from, to *side) bool {
	for other := range to.vaults {
		if _, had := from.vaults[other]; had {
			continue
		}
		if movedFrom(keys, other, from, to, to.open(keys, other)) == dir {
			return true
		}
	}
	return false
}
