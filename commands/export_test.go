package commands

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"
)

// Described is a command as its help has it, for tests that run every one.
type Described struct {
	Words     []string // "hooks", "install"
	Arguments []string // "NAME", "FILE|-", from the usage line
	Booleans  []string // flags without a value, without dashes
	Valued    []string
}

// Describe lists every command that can be run, hidden ones too.
func Describe() []Described {
	r := &runner{ctx: context.Background(), env: &Env{Out: io.Discard, Err: io.Discard}}
	var list []Described
	var walk func(words []string, all []*cli.Command)
	walk = func(words []string, all []*cli.Command) {
		for _, c := range all {
			here := append(append([]string(nil), words...), c.Name)
			if len(c.Subcommands) > 0 {
				walk(here, c.Subcommands)
				continue
			}
			arguments, _ := usageWords(c.UsageText)
			d := Described{Words: here, Arguments: arguments}
			for _, flag := range c.Flags {
				name := flag.Names()[0]
				if valued, ok := flag.(cli.DocGenerationFlag); ok && valued.TakesValue() {
					d.Valued = append(d.Valued, name)
				} else {
					d.Booleans = append(d.Booleans, name)
				}
			}
			list = append(list, d)
		}
	}
	walk(nil, r.app().Commands)
	return list
}
