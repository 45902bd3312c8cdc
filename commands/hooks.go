package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

func (r *runner) hooksCommand() *cli.Command {
	server := &cli.BoolFlag{Name: "server", Usage: "a pre-receive hook, for the repository on a server"}
	with := func(run func(context.Context, *session, *hooks.Installer) error) cli.ActionFunc {
		return r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			repo, err := s.needRepository()
			if err != nil {
				return err
			}
			return run(ctx, s, s.installer(repo, c.Bool("server")))
		})
	}
	return &cli.Command{
		Name:      "hooks",
		Usage:     "install, remove or look at the git hooks",
		UsageText: "install|uninstall|status [--server]",
		Description: `   git muxi-secrets hooks install

A hook that is there already is kept and runs first; 'uninstall' puts it back
byte for byte. Where another tool keeps the hooks, what to add there is printed.`,
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usage("'hooks' is followed by install, uninstall or status").hint("see '%s hooks -h'", program)
			}
			return unknownCommand(c.Command.Subcommands, program+" hooks", c.Args().First())
		},
		Subcommands: []*cli.Command{
			{
				Name:        "install",
				Usage:       "install the hooks, or bring older ones up to date",
				UsageText:   "[--server]",
				Description: "   git muxi-secrets hooks install",
				Flags:       []cli.Flag{server},
				Action: with(func(ctx context.Context, s *session, in *hooks.Installer) error {
					return s.installHooks(ctx, in)
				}),
			},
			{
				Name:        "uninstall",
				Usage:       "remove the hooks and put back what was there before",
				UsageText:   "[--server]",
				Description: "   git muxi-secrets hooks uninstall",
				Flags:       []cli.Flag{server},
				Action: with(func(ctx context.Context, s *session, in *hooks.Installer) error {
					changed, err := in.Uninstall(ctx)
					for _, hook := range changed {
						s.say("Removed %s%s", s.show(hook.Path), map[bool]string{true: ", and put back the one that was there before"}[hook.Kept])
					}
					if err == nil && len(changed) == 0 {
						s.say("There is no hook of ours to remove")
					}
					return err
				}),
			},
			{
				Name:        "status",
				Usage:       "say which hooks are installed; exits 1 when one is missing",
				UsageText:   "[--server] [--json]",
				Description: "   git muxi-secrets hooks status",
				Flags:       []cli.Flag{server, jsonFlag()},
				Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					repo, err := s.needRepository()
					if err != nil {
						return err
					}
					return s.hooksStatus(ctx, s.installer(repo, c.Bool("server")), c.Bool("json"))
				}),
			},
		},
	}
}

func (s *session) hooksStatus(ctx context.Context, in *hooks.Installer, asJSON bool) error {
	list, dir, err := in.Status(ctx)
	if err != nil {
		return err
	}
	missing := false
	for _, hook := range list {
		missing = missing || hook.State == hooks.Missing || hook.State == hooks.Outdated
	}
	if asJSON {
		err = s.printJSON(map[string]any{"dir": dir, "hooks": list})
	} else {
		fmt.Fprintf(s.Out, "Hooks in %s:\n", sanitize(s.show(dir)))
		for _, hook := range list {
			fmt.Fprintf(s.Out, "  %-17s %s%s\n", hook.Name, hook.State, map[bool]string{true: ", after the one that was there before"}[hook.Kept && hook.State == hooks.Installed])
		}
	}
	if err == nil && missing {
		s.hint("'%s hooks install' installs them, or prints what to add where another tool keeps the hooks", program)
		return exitCode(exitNo)
	}
	return err
}

func (s *session) installHooks(ctx context.Context, in *hooks.Installer) error {
	if !in.Server && in.Repo.Layout().Top == "" {
		return usage("there is no work tree here, so nothing commits or pushes from it").
			hint("for the repository on a server: '%s hooks install --server'", program)
	}
	changed, err := in.Install(ctx)
	var managed *hooks.ManagedError
	if errors.As(err, &managed) {
		fmt.Fprintln(s.Out, managed.Snippet)
		return refuse("the hooks here belong to %s; nothing was changed", managed.Manager).
			hint("add what stands above, and the checks run with the rest")
	}
	var kept *hooks.KeptError
	if errors.As(err, &kept) {
		return failed(err, "'%s' cannot be kept as '%s': another one is there", s.show(kept.Hook), s.show(kept.Kept)).
			hint("keep one of the two hooks under that name, or both in one file, and try again; nothing was changed")
	}
	if err != nil {
		return err
	}
	for _, hook := range changed {
		s.say("Installed %s%s", s.show(hook.Path), map[bool]string{true: " (the one that was there runs first)"}[hook.Kept])
	}
	if len(changed) == 0 {
		s.say("The hooks are installed already")
	}
	return nil
}

// installer installs hooks that find this program again.
func (s *session) installer(repo gitutil.Repository, server bool) *hooks.Installer {
	program, err := os.Executable()
	if err != nil {
		program = "git-muxi-secrets"
	}
	return &hooks.Installer{Repo: repo, Files: s.Files, Server: server, Program: program}
}

// offerHooks has a clone's first writing command install the hooks, and only the
// first one that got so far: whoever took them out again is not asked twice.
func (s *session) offerHooks(ctx context.Context) {
	if layout, ok := s.where(); ok {
		if there, err := fileExists(hooksOffered(layout)); err == nil && !there {
			s.ensureHooks(ctx)
		}
	}
}

// hooksOffered is the note that this clone has had its hooks, or was told to do
// without.
func hooksOffered(layout gitutil.Layout) string {
	return filepath.Join(layout.CommonDir, "muxi-secrets", "hooks-offered")
}

// noteHooks leaves that note. Without it the next command offers them again.
func (s *session) noteHooks() {
	if layout, ok := s.where(); ok {
		if there, err := fileExists(hooksOffered(layout)); err == nil && !there {
			os.MkdirAll(filepath.Dir(hooksOffered(layout)), 0o755)
			os.WriteFile(hooksOffered(layout), nil, 0o644)
		}
	}
}

// ensureHooks is what init and the first add do: install where that is plain,
// and say what to do where it is not. It never makes them fail.
func (s *session) ensureHooks(ctx context.Context) {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return
	}
	changed, err := s.installer(repo, false).Install(ctx)
	var managed *hooks.ManagedError
	switch {
	case errors.As(err, &managed):
		s.hint("the hooks here belong to %s: '%s hooks install' prints what to add there", managed.Manager, program)
	case err != nil:
		s.warn("the git hooks could not be installed: %s", s.explain(err).Lines[0])
		s.hint("try again with '%s hooks install'", program)
		return
	case len(changed) > 0:
		var installed []string
		for _, hook := range changed {
			installed = append(installed, hook.Name)
		}
		s.say("Installed the git hooks %s ('%s hooks uninstall' removes them)", strings.Join(installed, ", "), program)
	}
	s.noteHooks()
}
