package commands

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

type renderOptions struct {
	file   string // "": the formation file
	reveal bool
}

func (r *runner) renderCommand() *cli.Command {
	return &cli.Command{
		Name:      "render",
		Usage:     "print a file of the formation with its references filled in",
		UsageText: "[FILE] [--reveal]",
		Description: `   git muxi-secrets render
   git muxi-secrets render agents/support.afs --reveal

Values are masked unless --reveal is given. FILE is looked for from the current
folder, then from the formation's. Exits 1 when a required value is missing.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "reveal", Usage: "print the values themselves"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if c.NArg() > 1 {
				return usage("'render' takes at most one FILE").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.render(renderOptions{c.Args().First(), c.Bool("reveal")})
		}),
	}
}

func (s *session) render(o renderOptions) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, err := s.open(f)
	if err != nil {
		return err
	}
	below, content, err := s.readRendered(f, o.file)
	if err != nil {
		return err
	}
	var broken error
	value := func(name string) (string, bool) {
		stored, ok := opened.Vault.Find(name)
		if !ok {
			return "", false
		}
		text, err := s.textOf(opened.Vault, stored)
		if err != nil {
			broken = err
		}
		if !o.reveal {
			return formation.Mask(text), true
		}
		s.warnBackslash(stored, text)
		return text, true
	}
	out, filling, err := formation.Render(below, content, value)
	if err != nil {
		return failed(err, "'%s' is no valid YAML: %v", s.show(f.Path(below)), err).hint("mend the file; the runtime could not load it either")
	}
	if broken != nil {
		return broken
	}
	if _, err := s.Out.Write(out); err != nil {
		return err
	}
	if len(filling.Optional) > 0 {
		s.say("note: today's MUXI runtime leaves optional references (%s) as the text they are", strings.Join(filling.Optional, ", "))
	}
	if len(filling.Verbatim) > 0 {
		s.warn("the runtime does not look these up as they are spelled; left as text: %s", strings.Join(filling.Verbatim, ", "))
	}
	if len(filling.Missing) > 0 {
		e := &Error{Code: exitNo}
		for _, name := range filling.Missing {
			e.line("Secret %s not found in %s", name, formation.VaultFile)
		}
		return e.hint("'%s setup' asks for what is missing", s.again())
	}
	return nil
}

// readRendered reads FILE from the current folder, else from the formation's.
func (s *session) readRendered(f *formation.Formation, file string) (below string, content []byte, err error) {
	path := f.Path(f.File)
	if file != "" {
		path = s.at(file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(file) {
			path = f.Path(file)
		}
	}
	below, known := s.configuration(f, path)
	if there := paths.There(path); there && !known {
		return "", nil, usage("'%s' is no configuration of %s", s.show(path), s.showFolder(f.Dir)).hint("see '%s render -h'", s.again())
	}
	if content, err = safefile.Read(path, safefile.MaxSize); err != nil {
		return "", nil, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	return below, content, nil
}

// configuration is a file's path below the formation's folder, with /, where the runtime
// would look for references in it. Whatever it is called, a key is none.
func (s *session) configuration(f *formation.Formation, path string) (below string, ok bool) {
	real := paths.Real(path)
	layout, inside := s.where()
	switch base := filepath.Base(real); {
	case base == formation.KeyFile, base == formation.VaultFile, inside && (paths.Within(layout.CommonDir, real) || paths.Within(layout.GitDir, real)):
		return "", false
	}
	if below, ok = paths.Below(f.Dir, path); !ok { // a folder of it may be a link to elsewhere
		below, ok = paths.Below(paths.Real(f.Dir), real)
	}
	return below, ok && formation.MayRefer(below)
}
