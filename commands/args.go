package commands

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// reorder puts every flag in front of the arguments of its command, since
// urfave/cli v2 silently takes flags behind an argument for arguments. args
// starts with the program's name. A flag that the command does not know stays
// in front too, so that the parser refuses it.
//
// Flags that may come with or without a value (--generate[=BYTES]) get their
// default spelled out.
func reorder(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	out := []string{args[0]}
	flags, commands := app.Flags, app.Commands
	rest := args[1:]
	for {
		var before []string
		var name string
		before, name, rest = splitAtCommand(flags, commands, rest)
		out = append(out, before...)
		if name == "" {
			break
		}
		out = append(out, name)
		command := commandNamed(commands, name)
		flags, commands = command.Flags, command.Subcommands
	}
	lead, arguments := partition(flags, rest)
	out = append(out, lead...)
	if len(arguments) > 0 {
		out = append(out, "--")
		out = append(out, arguments...)
	}
	return out
}

// apart spells short flags that were typed as one word apart, as git and tar take
// them: -n1 is -n 1, and -qC a is -q -C a. What is a flag's whole name is that flag.
func apart(flags []cli.Flag, word string) []string {
	if len(word) < 3 || word[0] != '-' || word[1] == '-' {
		return []string{word}
	}
	if name, _, _ := strings.Cut(word[1:], "="); flagNamed(flags, name) != nil || flagNamed(flags, word[1:2]) == nil {
		return []string{word}
	}
	if takesNext(flags, word[:2]) {
		return []string{word[:2], word[2:]}
	}
	if word[2] == '-' {
		return []string{word} // -q-all is no -q --all: the parser refuses it
	}
	return append([]string{word[:2]}, apart(flags, "-"+word[2:])...)
}

// splitAtCommand finds the next command's name in args, which may have flags
// in front. name is "" where no command of that name exists; rest is then all
// of args.
func splitAtCommand(flags []cli.Flag, commands []*cli.Command, args []string) (before []string, name string, rest []string) {
	for i := 0; i < len(args); i++ {
		args = slices.Concat(args[:i], apart(flags, args[i]), args[i+1:])
		arg := args[i]
		if arg == "--" {
			break
		}
		if len(arg) > 1 && arg[0] == '-' {
			if takesNext(flags, arg) {
				i++
			}
			continue
		}
		if commandNamed(commands, arg) != nil {
			return args[:i], arg, args[i+1:]
		}
		break
	}
	return nil, "", args
}

func commandNamed(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// partition separates the flags in args (with their values) from the rest.
func partition(flags []cli.Flag, args []string) (lead, arguments []string) {
	for i := 0; i < len(args); i++ {
		args = slices.Concat(args[:i], apart(flags, args[i]), args[i+1:])
		arg := args[i]
		switch {
		case arg == "--":
			return lead, append(arguments, args[i+1:]...)
		case len(arg) < 2 || arg[0] != '-':
			arguments = append(arguments, arg)
		case arg == "-h" || arg == "--help" || arg == "-help":
			// Beside it the parser would take an argument for a help topic.
			return []string{"--help"}, nil
		case arg == "--generate" || arg == "-generate":
			lead = append(lead, "--generate="+defaultGenerate)
		default:
			lead = append(lead, arg)
			if takesNext(flags, arg) {
				if i++; i == len(args) {
					return lead, nil // its value is missing, and nothing else is it
				}
				lead = append(lead, args[i])
			}
		}
	}
	return lead, arguments
}

// takesNext reports whether arg is a flag whose value is the next argument.
func takesNext(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") || name == "generate" {
		return false
	}
	for _, flag := range flags {
		valued, ok := flag.(cli.DocGenerationFlag)
		if !ok || !valued.TakesValue() {
			continue
		}
		for _, known := range flag.Names() {
			if known == name {
				return true
			}
		}
	}
	return false
}

// plainWord reports whether text may be repeated in an error: a short word of
// small letters, which no value of a secret is.
func plainWord(text string) bool {
	return text != "" && len(text) <= 24 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// noKeys refuses a key that was given as an argument or as the value of a flag,
// before it is looked for as a file, stored as a name or handed to git. 'share' and
// 'key export' take keys, public ones, and say more of a private one themselves.
func noKeys(c *cli.Context) error {
	if strings.HasPrefix(c.Command.HelpName, program+" share") || c.Command.HelpName == program+" key export" {
		return nil
	}
	given := c.Args().Slice()
	for _, level := range c.Lineage() {
		for _, name := range level.LocalFlagNames() {
			given = append(given, level.String(name))
			given = append(given, level.StringSlice(name)...)
		}
	}

	for _, arg := range given {
		if what := formation.WholeKey(arg); what != "" {
			return usage("%s was given as an argument (it is not repeated here)", what).
				hint("a key is never an argument: values are asked for, or come by --stdin or --from-file; a private key stays in the file whose name is given").
				hint("what is typed as an argument stands in the shell's history and in the list of processes: make a new one")
		}
	}
	return nil
}
