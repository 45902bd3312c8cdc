package commands

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
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
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o := exportOptions{c.String("format"), c.String("output")}
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
	opened, err := f.Open()
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, name := range opened.Vault.Names() {
		if values[name], err = textOf(opened.Vault, name); err != nil {
			return err
		}
	}
	content, err := formatExport(values, o.format)
	if err != nil {
		return err
	}
	if o.output == "" || o.output == "-" {
		_, err := io.WriteString(s.Out, content)
		return err
	}
	path := s.at(o.output)
	if err := s.refuseTracked(ctx, f, path); err != nil {
		return err
	}
	// The formation's lock keeps the next command from sweeping our temp file
	// away while it is being written.
	lock, err := s.lock(ctx, f)
	if err != nil {
		return err
	}
	defer lock.Release()
	batch := s.Files.BatchIn(f.Dir)
	defer batch.Discard()
	if err := batch.Replace(path, []byte(content), 0o600); err != nil {
		return err
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	s.say("Wrote %s to %s, in the clear: delete it when it is no longer needed", plural(len(values), "secret"), s.show(path))
	return nil
}

func formatExport(values map[string]string, format string) (string, error) {
	names := map[string]bool{}
	for name := range values {
		names[name] = true
	}
	if format == "json" {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(values)
		return b.String(), err
	}
	var b strings.Builder
	for _, name := range sorted(names) {
		b.WriteString(formation.FormatDotenv(name, values[name]))
	}
	return b.String(), nil
}

// refuseTracked refuses a file that git tracks or would track, and the
// formation's own files.
func (s *session) refuseTracked(ctx context.Context, f *formation.Formation, path string) error {
	switch filepath.Base(path) {
	case formation.KeyFile, formation.VaultFile, formation.TemplateFile, f.File:
		if filepath.Dir(path) == f.Dir {
			return usage("'%s' is a file of the formation itself", s.show(path)).hint("choose another name for --output")
		}
	}
	real := path
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		real = filepath.Join(dir, filepath.Base(path))
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
	if repo.Layout().Bare {
		return nil
	}
	return refuse("git would track '%s', and everybody with it would read every secret; nothing was written", s.show(path)).
		hint("have git ignore it first (echo %s >> .gitignore), or write it outside of the repository", quote(filepath.Base(path)))
}
