// Package commands is what a person, a script, a hook or CI runs: one file per
// command, each of which turns flags into options and then runs. It phrases
// every message and decides every exit code; the rules themselves live below.
package commands

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
)

// version is set by release builds: -ldflags "-X .../commands.version=v1.2.3".
// Other builds say what the Go toolchain recorded.
var version = ""

// Run runs one command line (args[0] is the program) and returns the exit code.
func Run(ctx context.Context, env *Env, args []string) int {
	run := *env
	out := run.watch(args)
	if run.Getenv("GIT_MUXI_SECRETS_TRACE") == "1" {
		ctx = trace.To(ctx, run.Err, run.Now)
		trace.Say(ctx, "git-muxi-secrets %s in '%s'", buildVersion(), run.Dir)
	}
	code := runTraced(ctx, &run, out, args)
	trace.Say(ctx, "exit %d", code)
	return code
}

func runTraced(ctx context.Context, run *Env, out *stickyWriter, args []string) int {
	r := &runner{ctx: ctx, env: run}
	app := r.app()
	err := app.RunContext(ctx, reorder(app, args))
	if err == nil && out.err != nil {
		err = failed(out.err, "cannot write the result: %v", out.err)
	}
	if err == nil {
		return r.code
	}
	s := r.session
	if s == nil {
		s = &session{Env: run}
	}
	return s.explain(err).print(run.Err)
}

// runner holds what one run hands from the parsed command line to its end.
type runner struct {
	ctx     context.Context
	env     *Env
	session *session
	code    int // exit code where there is nothing to say about it
}

// exitCode is returned by a command whose results have said everything: it
// ends with this code and no error line.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// action wraps a command's run function: session before, clean-up after.
func (r *runner) action(run func(context.Context, *session, *cli.Context) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		trace.Say(c.Context, "command %s", c.Command.FullName())
		r.session = newSession(r.env, c)
		defer r.session.close()
		if err := noKeys(c); err != nil {
			return err
		}
		err := run(c.Context, r.session, c)
		if code, ok := err.(exitCode); ok {
			r.code = int(code)
			return nil
		}
		return err
	}
}

// plain is action for a command that takes no argument.
func (r *runner) plain(run func(context.Context, *session, *cli.Context) error) cli.ActionFunc {
	return r.action(func(ctx context.Context, s *session, c *cli.Context) error {
		if err := noArguments(c); err != nil {
			return err
		}
		return run(ctx, s, c)
	})
}

func (r *runner) app() *cli.App {
	app := &cli.App{
		Name:                      program,
		HelpName:                  program,
		Usage:                     "keep the API keys of MUXI formations in git, encrypted",
		UsageText:                 program + " [-C DIR] COMMAND [ARGUMENTS]",
		Description:               appDescription,
		Writer:                    r.env.Out,
		ErrWriter:                 r.env.Err,
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
		Flags: append(commonFlags(),
			&cli.BoolFlag{Name: "version", Usage: "print the version and exit"},
		),
		Commands: []*cli.Command{
			r.initCommand(),
			r.addCommand(),
			r.getCommand(),
			r.editCommand(),
			r.listCommand(),
			r.deleteCommand(),
			r.restoreCommand(),
			r.renameCommand(),
			r.setupCommand(),
			r.syncCommand(),
			r.importCommand(),
			r.extractCommand(),
			r.exportCommand(),
			r.renderCommand(),
			r.statusCommand(),
			r.doctorCommand(),
			r.checkCommand(),
			r.scrubCommand(),
			r.diffCommand(),
			r.logCommand(),
			r.copyCommand(),
			r.rotateCommand(),
			r.convertCommand(),
			r.shareCommand(),
			r.unlockCommand(),
			r.lockCommand(),
			r.resolveCommand(),
			r.keyCommand(),
			r.hooksCommand(),
			r.manCommand(),
			r.completionCommand(),
			r.completeCommand(),
			r.hookRunCommand(),
			r.textconvCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				fmt.Fprintf(r.env.Out, "git-muxi-secrets %s\n", buildVersion())
				return nil
			}
			if !c.Args().Present() {
				cli.ShowAppHelp(c)
				return usage("no command given").hint("a first step: '%s add OPENAI_API_KEY'", program)
			}
			switch c.Args().First() { // as people type them, too
			case "help":
				return r.help(c)
			case "version":
				fmt.Fprintf(r.env.Out, "git-muxi-secrets %s\n", buildVersion())
				return nil
			}
			return unknownCommand(c.App.Commands, program, c.Args().First())
		},
	}
	app.CustomAppHelpTemplate = appHelp(app.Commands)
	app.Commands = append(app.Commands, r.mergeCommands()...)
	hideDefaults(app.Flags)
	for _, command := range app.Commands {
		finish(command)
	}
	return app
}

// finish gives a command what all have in common.
func finish(command *cli.Command) {
	command.HideHelpCommand = true // else a secret called "help" prints help
	if command.OnUsageError == nil {
		command.OnUsageError = usageError
	}
	command.CustomHelpTemplate = commandHelp
	if len(command.Subcommands) > 0 {
		command.Action = followed
		for _, sub := range command.Subcommands {
			finish(sub)
		}
		return
	}
	command.Flags = append(command.Flags, commonFlags()...)
	hideDefaults(command.Flags)
}

// followed is the action of a command that is nothing without another one.
func followed(c *cli.Context) error {
	prefix := program + " " + c.Command.Name
	if c.Args().Present() {
		return unknownCommand(c.Command.Subcommands, prefix, c.Args().First())
	}
	var names []string
	for _, sub := range c.Command.Subcommands {
		names = append(names, sub.Name)
	}
	return usage("'%s' is followed by %s", c.Command.Name, orList(names)).hint("see '%s -h'", prefix)
}

// hideDefaults takes "(default: false)", which says nothing, out of the help.
func hideDefaults(flags []cli.Flag) {
	for _, flag := range flags {
		if yesNo, ok := flag.(*cli.BoolFlag); ok {
			yesNo.DisableDefaultText = true
		}
	}
}

// commonFlags are the flags that every command takes.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "formation", Aliases: []string{"C"}, Usage: "work on the formation in `DIR`"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print results and errors only"},
		&cli.BoolFlag{Name: "no-color", Usage: "no colours, on a terminal neither (as with NO_COLOR=1)"},
	}
}

// usageError is wrongUse for a parser.
func usageError(c *cli.Context, err error, _ bool) error { return wrongUse(c, err) }

// wrongUse phrases what the flag package says, without the values in it.
func wrongUse(c *cli.Context, err error) *Error {
	text := err.Error()
	see := "see '" + program + " -h'"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != program {
		see = fmt.Sprintf("see '%s -h'", c.Command.HelpName)
	}
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		if !plainWord(name) && len(name) != 1 {
			return usage("unknown flag (not repeated here, since it may hold a value)").hint("%s", see)
		}
		e := usage("unknown flag '%s'", dashed(name))
		var names []string
		for _, flag := range c.Command.Flags {
			names = append(names, flag.Names()[0])
		}
		if near := nearest(name, names); near != "" {
			e.hint("did you mean '--%s'?", near)
		}
		return e.hint("%s", see)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		// It is one of ours, so it may be repeated.
		return usage("flag '%s' needs a value", dashed(name)).hint("%s", see)
	}
	return usage("wrong use of a flag (its value is not repeated here)").hint("%s", see)
}

// dashed is how a person writes a flag: -C, --formation. name may have dashes.
func dashed(name string) string {
	name = strings.TrimLeft(name, "-")
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// buildVersion is what --version prints behind the name.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// noArguments refuses anything behind a command that takes none.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usage("'%s' takes no argument (what was given is not repeated here)", c.Command.HelpName).
			hint("see '%s -h'", c.Command.HelpName)
	}
	return nil
}
