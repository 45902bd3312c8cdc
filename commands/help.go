package commands

import (
	"slices"

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

const appHelp = `{{.HelpName}} - {{.Usage}}

Example:
   cd formations/my-agent
   git muxi-secrets add OPENAI_API_KEY     asks for the value, hidden
   git muxi-secrets list

Usage:
   {{.UsageText}}

{{.Description}}

Commands:
{{range .VisibleCommands}}   {{printf "%-10s" .Name}} {{.Usage}}
{{end}}
Flags (also behind the command):
{{range .VisibleFlags}}   {{.}}
{{end}}
'git muxi-secrets COMMAND -h' explains one command.
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
