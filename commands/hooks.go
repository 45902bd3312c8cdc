package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

func (r *runner) hooksCommand() *cli.Command {
	server := &cli.BoolFlag{Name: "server", Usage: "a pre-receive hook, for the repository on a server"}
	with := func(run func(context.Context, *session, *hooks.Installer, *cli.Context) error) cli.ActionFunc {
		return r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			repo, err := s.needRepository()
			if err != nil {
				return err
			}
			return run(ctx, s, s.installer(repo, c.Bool("server")), c)
		})
	}
	return &cli.Command{
		Name:      "hooks",
		Usage:     "install, remove or look at the git hooks",
		UsageText: "install [--write] [--no-notes]|uninstall|status [--server]",
		Description: `   git muxi-secrets hooks install

A hook that is there already is kept and runs first; 'uninstall' puts it back
byte for byte. Where lefthook, husky or the pre-commit framework keep the hooks,
the change to their files is shown and made after a yes.`,
		Subcommands: []*cli.Command{
			{
				Name:        "install",
				Usage:       "install the hooks, or bring older ones up to date",
				UsageText:   "[--write] [--no-notes] [--server]",
				Description: "   git muxi-secrets hooks install",
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "write", Usage: "where lefthook, husky or the pre-commit framework keep the hooks: change their files without asking"},
					&cli.BoolFlag{Name: "no-notes", Usage: "leave out post-merge, which says what a pull brought"},
					server,
				},
				Action: with(func(ctx context.Context, s *session, in *hooks.Installer, c *cli.Context) error {
					in.NoNotes, in.Write = c.Bool("no-notes"), c.Bool("write")
					return s.installHooks(ctx, in)
				}),
			},
			{
				Name:        "uninstall",
				Usage:       "remove the hooks and put back what was there before",
				UsageText:   "[--server]",
				Description: "   git muxi-secrets hooks uninstall",
				Flags:       []cli.Flag{server},
				Action: with(func(ctx context.Context, s *session, in *hooks.Installer, _ *cli.Context) error {
					return s.uninstallHooks(ctx, in)
				}),
			},
			{
				Name:        "status",
				Usage:       "say which hooks are installed; exits 1 when one is missing",
				UsageText:   "[--server] [--json]",
				Description: "   git muxi-secrets hooks status",
				Flags:       []cli.Flag{server, jsonFlag()},
				Action: with(func(ctx context.Context, s *session, in *hooks.Installer, c *cli.Context) error {
					return s.hooksStatus(ctx, in, c.Bool("json"))
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
		missing = missing || hook.State.Lacks() && !hook.Note
	}
	if asJSON {
		err = s.printJSON(map[string]any{"dir": dir.Path, "hooks": list})
	} else {
		fmt.Fprintf(s.Out, "Hooks in %s:\n", sanitize(s.show(dir.Path)))
		for _, hook := range list {
			fmt.Fprintf(s.Out, "  %-17s %s%s\n", hook.Name, hook.State, aboutHook(hook))
		}
	}
	if err == nil && missing {
		var nowhere *hooks.NowhereError
		if foreign := in.Foreign(dir); errors.As(foreign, &nowhere) {
			e := s.explain(foreign)
			s.warn("%s", e.Lines[0])
			s.hint("%s", e.Hints[0])
			return exitCode(exitNo)
		}
		s.hint("'%s hooks install' installs them, or shows the change to make where another tool keeps the hooks", s.anywhere())
		return exitCode(exitNo)
	}
	return err
}

// aboutHook is what status says behind a hook's state.
func aboutHook(hook hooks.Hook) string {
	switch {
	case hook.Kept && hook.State == hooks.Installed:
		return ", after the one that was there before"
	case hook.Unheard:
		return ": the hook there calls ours and goes on whatever it answers ('|| exit $?' behind the call ends that)"
	case hook.Note && hook.State == hooks.Missing:
		return " (a note after a pull; nothing is stopped without it)"
	}
	return ""
}

func (s *session) installHooks(ctx context.Context, in *hooks.Installer) error {
	if !in.Server && in.Repo.Layout().Top == "" {
		return usage("there is no work tree here, so nothing commits or pushes from it").
			hint("for the repository on a server: '%s hooks install --server'", s.anywhere())
	}
	if _, err := gitutil.Writing(in.Repo); err != nil {
		return err
	}
	changed, err := in.Install(ctx)
	var managed *hooks.ManagedError
	if errors.As(err, &managed) {
		err := s.adoptHooks(ctx, in, managed)
		switch {
		case in.Server:
		case err == nil:
			s.ensureDrivers(ctx)
		default: // they are this clone's own, whoever keeps the hooks
			s.setDrivers(ctx, hooks.Outdated)
		}
		return err
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
		if hook.State == hooks.Missing {
			s.sayRemoved(hook)
			continue
		}
		s.say("Installed %s%s", s.show(hook.Path), map[bool]string{true: " (the one that was there runs first)"}[hook.Kept])
	}
	if len(changed) == 0 {
		s.say("The hooks are installed already")
		if list, _, err := in.Status(ctx); in.Write && err == nil && list[0].State == hooks.Installed {
			s.hint("they are this clone's own: to write into another manager's files, take them out first: '%s hooks uninstall'", s.anywhere())
		}
	}
	if !in.Server {
		s.ensureDrivers(ctx)
	}
	s.noteHooks()
	return nil
}

func (s *session) uninstallHooks(ctx context.Context, in *hooks.Installer) error {
	if _, err := gitutil.Writing(in.Repo); err != nil {
		return err // as for install: without git we only read
	}
	written, err := in.Written(ctx)
	if err != nil {
		return s.explainUnsafe(err)
	}
	if err := in.Apply(ctx, written); err != nil {
		return err
	}
	for _, change := range written {
		if change.After == nil {
			s.say("Removed %s", s.show(change.Path))
		} else {
			s.say("Took our lines out of %s", s.show(change.Path))
		}
	}

	changed, err := in.Uninstall(ctx)
	for _, hook := range changed {
		s.sayRemoved(hook)
	}
	if err == nil && len(changed)+len(written) == 0 {
		s.say("There is no hook of ours to remove")
	}
	if err == nil {
		s.noteHooks()
	}
	return err
}

func (s *session) sayRemoved(hook hooks.Hook) {
	s.say("Removed %s%s", s.show(hook.Path), map[bool]string{true: ", and put back the one that was there before"}[hook.Kept])
}

// ownProgram is where this program lies, for hooks and drivers to find it again.
func ownProgram() string {
	path, err := os.Executable()
	if err != nil {
		return "git-muxi-secrets"
	}
	return filepath.ToSlash(path)
}

// installer installs hooks that find this program again.
func (s *session) installer(repo gitutil.Repository, server bool) *hooks.Installer {
	return &hooks.Installer{Repo: repo, Files: s.Files, Server: server, Program: ownProgram()}
}

// offerHooks has a clone's first writing command install the hooks, and only the
// first one that got so far: whoever took them out again is not asked twice.
func (s *session) offerHooks(ctx context.Context) {
	if layout, ok := s.where(); ok {
		if there, err := paths.Exists(hooksOffered(layout)); err == nil && !there {
			s.ensureHooks(ctx)
		}
	}
}

// remindOfHooks says what a fresh clone lacks, once it can be worked in. Who took
// the hooks out, or has them elsewhere, is not told.
func (s *session) remindOfHooks(ctx context.Context) {
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return
	}
	if there, err := paths.Exists(hooksOffered(layout)); err != nil || there {
		return
	}
	if state := s.hooksState(ctx); hooks.State(state).Lacks() {
		s.hint("this clone has no hooks yet that stop a leak: '%s hooks install'", s.anywhere())
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
		if there, err := paths.Exists(hooksOffered(layout)); err == nil && !there {
			safefile.Touch(hooksOffered(layout))
		}
	}
}

// ensureHooks is what init and the first add do: install where that is plain,
// and say what to do where it is not. It never makes them fail.
func (s *session) ensureHooks(ctx context.Context) {
	git := s.git()
	if git == nil {
		return
	}
	in := s.installer(git, false)
	in.Afresh = true
	changed, err := in.Install(ctx)
	var managed *hooks.ManagedError
	switch {
	case errors.As(err, &managed):
		s.hint("the hooks here belong to %s: '%s hooks install' shows what to add there", managed.Manager, s.anywhere())
	case err != nil:
		e := s.explain(err)
		s.warn("the git hooks could not be installed: %s", e.Lines[0])
		for _, hint := range e.Hints {
			s.hint("%s", hint)
		}
		s.hint("then '%s hooks install' installs them", s.anywhere())
		return
	case len(changed) > 0:
		var installed []string
		for _, hook := range changed {
			installed = append(installed, hook.Name)
		}
		s.say("Installed the git hooks %s ('%s hooks uninstall' removes them)", strings.Join(installed, ", "), s.anywhere())
	}
	s.noteHooks()
}
