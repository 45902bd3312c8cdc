package commands

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

type exportOptions struct {
	format string
	output string
}

func (r *runner) exportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "print every secret with its value, as .env or JSON",
		UsageText: "[--format dotenv|json] [--output FILE]",
		Description: `   git muxi-secrets export --output .env

This prints the values in the clear. A FILE is made 0600, and refused where git
would track it.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "dotenv", Usage: "`FORMAT`: dotenv or json"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE` instead of standard output"},
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			o := exportOptions{c.String("format"), c.String("output")}
			if c.IsSet("output") && o.output == "" {
				return usage("--output needs the name of a file").hint("an empty one would print every value on standard output")
			}
			if o.format != "dotenv" && o.format != "json" {
				return usage("--format is 'dotenv' or 'json'")
			}
			return s.export(ctx, o)
		}),
	}
}

func (s *session) export(ctx context.Context, o exportOptions) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, err := s.open(f)
	if err != nil {
		return err
	}
	names := opened.Vault.Names()
	content, err := s.formatExport(opened.Vault, o.format)
	if err != nil {
		return err
	}
	if o.output == "" || o.output == "-" {
		_, err := io.WriteString(s.Out, content)
		return err
	}
	path := s.at(o.output)
	if err := s.refuseBroughtLink(ctx, path); err != nil {
		return err
	}
	if err := s.refuseTracked(ctx, f, path); err != nil {
		return err
	}
	// The formation's lock keeps the next command from sweeping our temp file
	// away while it is being written.
	lock, _, err := s.lockIfAny(ctx, f)
	if err != nil {
		return err
	}
	defer lock.Release()
	batch := s.Files.Batch(safefile.Place{Folders: []string{f.Dir}})
	defer batch.Discard()
	if err := batch.ReplacePrivate(path, []byte(content)); err != nil {
		return err
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	s.say("Wrote %s to %s, in the clear: delete it when it is no longer needed", plural(len(names), "secret"), s.show(path))
	return nil
}

// formatExport writes a vault out. What is no text (an older tool's number or
// list) stays what it is in JSON, and is its JSON in a .env file.
func (s *session) formatExport(vault *formation.Vault, format string) (string, error) {
	if format == "dotenv" {
		return s.formatDotenv(vault)
	}
	all := map[string]any{}
	for _, name := range vault.Names() {
		value, err := s.textOf(vault, name)
		if err != nil {
			return "", err
		}
		all[name] = value
		if _, _, err := vault.Get(name); err != nil {
			all[name] = json.RawMessage(value)
		}
	}
	var b strings.Builder
	err := writeJSON(&b, all)
	return b.String(), err
}

// formatDotenv writes a vault so that a shell can source it and import reads it.
func (s *session) formatDotenv(vault *formation.Vault) (string, error) {
	var b strings.Builder
	from := map[string]string{}
	for _, name := range vault.Names() {
		variable := formation.ShellName(name)
		if other, taken := from[variable]; variable == "" || taken {
			e := refuse("'%s' is no name that a .env file can have", name)
			if taken {
				e = refuse("'%s' and '%s' would be one name in a .env file", other, name)
			}
			return "", e.hint("'%s export --format json' keeps names as they are", s.again())
		}
		from[variable] = name
		value, err := s.textOf(vault, name)
		if err != nil {
			return "", err
		}
		b.WriteString(formation.FormatDotenv(variable, value))
	}
	return b.String(), nil
}

func sameFolder(info fs.FileInfo, dir string) bool {
	other, err := os.Stat(dir)
	return err == nil && os.SameFile(info, other)
}

// refuseTracked refuses a file that git tracks or would track, and the
// formation's own files.
func (s *session) refuseTracked(ctx context.Context, f *formation.Formation, path string) error {
	// What is written is what a symbolic link leads to.
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return refuse("'%s' is a symbolic link to '%s', which is not there; nothing was written", s.show(path), target).
				hint("choose another name for --output")
		}
		real = paths.Place(path)
	}
	for _, file := range [...]string{path, real} {
		switch filepath.Base(file) {
		case formation.KeyFile, formation.VaultFile, formation.TemplateFile, f.File:
			if within, err := os.Stat(filepath.Dir(file)); err == nil && sameFolder(within, f.Dir) {
				return usage("'%s' is a file of the formation itself", s.show(path)).hint("choose another name for --output")
			}
		}
	}
	// The file may lie in another repository than the formation.
	repo, err := gitutil.Open(filepath.Dir(real), gitutil.Options{Getenv: s.Getenv})
	var none *gitutil.NotRepositoryError
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		return err
	}
	defer repo.Close()
	ignored, err := repo.Ignored(ctx, []string{real})
	if err != nil {
		return err
	}
	tracked, err := repo.Tracked(ctx, []string{real})
	if err != nil {
		return err
	}
	if ignored[0] && !tracked[0] {
		return nil
	}
	if layout := repo.Layout(); layout.Bare || strings.HasPrefix(real, layout.GitDir+string(filepath.Separator)) {
		return nil
	}
	if tracked[0] {
		return refuse("git tracks '%s', and everybody with it would read every secret; nothing was written", s.show(path)).
			hint("choose another name, or take the file out of git first: '%s'", s.gitOn("git rm --cached", real))
	}
	return refuse("git would track '%s', and everybody with it would read every secret; nothing was written", s.show(path)).
		hint("have git ignore it first ('%s'), or write it outside of the repository", s.gitIgnore(real))
}
