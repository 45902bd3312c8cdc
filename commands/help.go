package commands

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// help is "help [COMMAND [SUBCOMMAND]]", as people type it: what -h shows.
func (r *runner) help(c *cli.Context) error {
	words := c.Args().Tail()
	if len(words) == 0 {
		return cli.ShowAppHelp(c)
	}
	prefix, list := program, c.App.Commands
	for i, word := range words {
		command := commandNamed(list, word)
		if command == nil && i > 0 && len(list) == 0 {
			words = words[:i]
			break
		}
		if command == nil {
			return unknownCommand(list, prefix, word)
		}
		prefix, list = prefix+" "+command.Name, command.Subcommands
	}
	return r.app().RunContext(r.ctx, slices.Concat([]string{program}, words, []string{"--help"}))
}

const appDescription = `Values live encrypted in secrets.enc, are opened with .key (which is never
committed), and are referred to as ${{ secrets.OPENAI_API_KEY }}. The MUXI
runtime reads what this program writes, unchanged.`

// helpGroups are the commands by what they are for, as the man page has them.
var helpGroups = []struct{ title, names string }{
	{"Everyday", "init add get edit list delete restore rename setup sync extract scrub import export render copy"},
	{"How things stand", "status doctor check diff log"},
	{"People and keys", "share unlock lock key rotate convert"},
	{"git's part", "resolve hooks man completion"},
}

// groupedCommands lists the commands by group, each with what it does.
func groupedCommands(commands []*cli.Command) string {
	var b strings.Builder
	for _, group := range helpGroups {
		fmt.Fprintf(&b, "%s:\n", group.title)
		for _, name := range strings.Fields(group.names) {
			if c := commandNamed(commands, name); c != nil {
				fmt.Fprintf(&b, "   %-10s %s\n", c.Name, c.Usage)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// appHelp is the help of the program, for the template of urfave/cli.
func appHelp(commands []*cli.Command) string {
	return strings.Replace(appHelpAround, "COMMANDS\n", groupedCommands(commands), 1)
}

const appHelpAround = `{{.HelpName}} - {{.Usage}}

Example:
   cd formations/my-agent
   git muxi-secrets add OPENAI_API_KEY     asks for the value, hidden
   git muxi-secrets list

Usage:
   {{.UsageText}}

{{.Description}}

COMMANDS
Flags (also behind the command):
{{range .VisibleFlags}}   {{.}}
{{end}}
'git muxi-secrets COMMAND -h' explains one command. --help is git's, and needs the
man pages: 'git muxi-secrets man --install', once.
Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 could not complete,
4 no key or the wrong one, 130 interrupted.
`

const commandHelp = `{{.HelpName}} - {{.Usage}}

Example:
{{.Description}}

Usage:
   {{.HelpName}}{{if .UsageText}} {{.UsageText}}{{end}}

Flags:
{{range .VisibleFlags}}   {{.}}
{{end}}`
