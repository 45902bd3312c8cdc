package commands

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

const (
	// defaultGenerate is the number of random bytes of --generate alone.
	defaultGenerate = "32"
	// maxValue bounds a value, in bytes. The vault is opened whole by every
	// command and by the runtime.
	maxValue = 16 << 20
)

type addOptions struct {
	name      string // as given; "" asks for folder, name and value
	stdin     bool
	fromFile  string
	generate  int // random bytes; 0: not asked for
	ifMissing bool
	to        []string // the folders of the formations; nil: the one the session finds
}

// asks reports whether the value is asked for on the terminal.
func (o addOptions) asks() bool { return !o.stdin && o.fromFile == "" && o.generate == 0 }

func (r *runner) addCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Aliases:   []string{"set"},
		Usage:     "add a secret, or give it a new value",
		UsageText: "[NAME] [--stdin | --from-file FILE | --generate[=BYTES]] [--if-missing] [--to DIR]... [--all]",
		Description: `   git muxi-secrets add OPENAI_API_KEY                   asks for the value, hidden
   pass show openai | git muxi-secrets add OPENAI_API_KEY --stdin
   git muxi-secrets add WEBHOOK_SECRET --generate

A value is never an argument: arguments show in the shell's history and in ps.
Without NAME it asks for the formation's folder, the name and the value. The
first secret sets everything up: .key, secrets.enc, the template, .gitignore.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "stdin", Usage: "read the value from standard input; one newline (LF or CR LF) at its end is taken off"},
			&cli.StringFlag{Name: "from-file", Usage: "take every byte of `FILE` as the value"},
			&cli.StringFlag{Name: "generate", Usage: "store `BYTES` random bytes (" + defaultGenerate + " if not given) as URL-safe base64"},
			&cli.BoolFlag{Name: "if-missing", Usage: "do nothing where the secret already has a value"},
			&cli.StringSliceFlag{Name: "to", Usage: "the formation in `DIR`; may be given more than once: all of them, or none"},
			allFlag(),
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			opts, err := s.addOptions(c)
			if err != nil {
				return err
			}
			return s.add(ctx, opts)
		}),
	}
}

func (s *session) addOptions(c *cli.Context) (addOptions, error) {
	o := addOptions{
		name:      c.Args().First(),
		stdin:     c.Bool("stdin"),
		fromFile:  c.String("from-file"),
		ifMissing: c.Bool("if-missing"),
		to:        c.StringSlice("to"),
	}
	if c.NArg() > 1 && c.IsSet("generate") {
		return o, usage("'add' takes one NAME").hint("write the number of bytes as --generate=32")
	}
	if c.NArg() > 1 {
		return o, usage("'add' takes one NAME, and never a value as an argument").
			hint("leave the value out: it is asked for; or give it with --stdin or --from-file")
	}
	sources := 0
	for _, name := range []string{"stdin", "from-file", "generate"} {
		if c.IsSet(name) {
			sources++
		}
	}
	if sources > 1 {
		return o, usage("--stdin, --from-file and --generate exclude each other").hint("give one of them")
	}
	if c.IsSet("from-file") && o.fromFile == "" {
		return o, usage("--from-file needs the name of a file")
	}
	if c.IsSet("generate") {
		n, err := strconv.Atoi(c.String("generate"))
		if err != nil || n < 1 || n > 1<<20 {
			return o, usage("--generate takes a number of bytes from 1 to %d", 1<<20).hint("write it as --generate=32")
		}
		o.generate = n
	}
	if c.NArg() == 1 {
		if _, err := s.nameArgument(o.name); err != nil {
			return o, err
		}
	} else if sources > 0 || o.ifMissing || len(o.to) > 0 || s.all {
		return o, usage("NAME is missing").hint("see '%s -h'", c.Command.HelpName)
	}
	return o, nil
}

// nameArgument normalises the name of a secret as a person gave it. Nothing of
// it is repeated in the error: it may be a value that lost its way.
func (s *session) nameArgument(spelled string) (string, error) {
	if strings.Contains(spelled, "=") {
		return "", usage("a name has no '=' (what was given is not repeated here, since it may hold a value)").
			hint("give the name alone: '%s add NAME' asks for the value", s.again())
	}
	if what := formation.KeyShape(spelled); what != "" {
		return "", usage("that looks like %s, and not like a name (it is not repeated here)", what).
			hint("give the name alone: '%s add NAME' asks for the value", s.again()).
			hint("if it is a name, write it as it is stored: in capitals, with _ between the words")
	}
	name := formation.Normalize(spelled)
	if name == "" {
		return "", usage("that name has no letter or digit (A-Z, 0-9)").hint("a good name: OPENAI_API_KEY")
	}
	return name, nil
}

func (s *session) add(ctx context.Context, o addOptions) error {
	if o.name == "" {
		return s.addAsking(ctx)
	}
	targets, err := s.targets(o)
	if err != nil {
		return err
	}
	name := formation.Normalize(o.name)
	if o.asks() || o.ifMissing {
		// A look before the prompt: nobody should type a value for nothing.
		missing := false
		for _, f := range targets {
			opened, _, err := s.openOrFresh(f, crypto.Fernet)
			if err != nil {
				return err
			}
			if has := opened.Vault.Has(name); !has || !o.ifMissing {
				missing = true
				if err := s.mayAsk(f); err != nil && o.asks() {
					return err
				}
			}
		}
		if o.ifMissing && !missing {
			for _, f := range targets {
				s.say("%s is already in %s; nothing changed", name, s.name(f))
			}
			return nil
		}
	}

	value, err := s.addValue(ctx, o, name)
	if err != nil {
		return err
	}
	if err := s.checkValue(value); err != nil {
		return err
	}
	return s.store(ctx, targets, name, value, o.ifMissing)
}

// targets are the formations that a value goes into.
func (s *session) targets(o addOptions) ([]*formation.Formation, error) {
	switch {
	case len(o.to) > 0 && (s.all || s.dir != ""):
		return nil, usage("--to, --all and -C exclude each other").hint("give one of them")
	case len(o.to) > 0:
		return s.named(o.to)
	}
	return s.formations()
}

// openTerminal opens the terminal for a prompt; hint says what to do where
// there is none.
func (s *session) openTerminal(hint string, args ...any) (*tty.Terminal, error) {
	terminal, err := s.Terminal()
	if err != nil {
		return nil, s.explain(err).hint(hint, args...)
	}
	return terminal, nil
}

// addValue gets the value from where the options say.
func (s *session) addValue(ctx context.Context, o addOptions, name string) (string, error) {
	if !o.asks() {
		return s.givenValue(o)
	}
	terminal, err := s.openTerminal("give the value with --stdin, --from-file FILE or --generate")
	if err != nil {
		return "", err
	}
	defer terminal.Close()
	return s.askValue(ctx, terminal, name)
}

// givenValue reads or makes the value.
func (s *session) givenValue(o addOptions) (string, error) {
	switch {
	case o.stdin:
		content, err := s.readInput()
		if err != nil {
			return "", err
		}
		if len(content) > maxValue {
			return "", tooLong()
		}
		if value, ok := strings.CutSuffix(string(content), "\r\n"); ok {
			return value, nil
		}
		return strings.TrimSuffix(string(content), "\n"), nil
	case o.fromFile != "":
		content, err := s.readAwaited(s.at(o.fromFile))
		if err != nil {
			return "", err
		}
		if len(content) > maxValue {
			return "", tooLong()
		}
		return string(content), nil
	}
	random := make([]byte, o.generate)
	rand.Read(random)
	return base64.URLEncoding.EncodeToString(random), nil
}

func tooLong() *Error {
	return usage("the value is longer than %d MiB", maxValue>>20).hint("a secret is a key or a password; keep files elsewhere")
}

// checkValue refuses what no vault can hold.
func (s *session) checkValue(value string) error {
	if value == "" {
		return usage("the value is empty; nothing was changed").hint("to remove a secret: '%s delete NAME'", s.again())
	}
	if !utf8.ValidString(value) {
		return usage("the value is not UTF-8 text; nothing was changed").
			hint("the vault holds text alone: store binary data encoded, as in 'base64 < FILE | %s add NAME --stdin'", s.again())
	}
	return nil
}

// store puts one value into the vaults, all or none, and sets everything up the
// first time.
func (s *session) store(ctx context.Context, formations []*formation.Formation, name, value string, ifMissing bool) error {
	all, err := s.openAllToWrite(ctx, formations, crypto.Fernet)
	if err != nil {
		return err
	}
	defer all.close()
	had := make([]bool, len(all))
	for i, w := range all {
		if had[i] = w.Vault.Has(name); !had[i] || !ifMissing {
			w.Vault.Set(name, value)
		}
	}

	changed, err := all.save()
	if err != nil {
		return err
	}
	var nowhere []string
	for i, w := range all {
		if had[i] && ifMissing {
			s.say("%s is already in %s; nothing changed", name, s.name(w.Formation))
			continue
		}
		w.sayStored(name, value, had[i], changed[i])
		if len(w.survey.To(name)) == 0 {
			nowhere = append(nowhere, s.name(w.Formation))
		}
	}
	switch len(nowhere) {
	case 0:
	case len(all):
		s.hint("nothing refers to it yet; write ${{ secrets.%s }} where the value belongs", name)
	default:
		s.hint("nothing in %s refers to it yet; write ${{ secrets.%s }} where the value belongs", list(nowhere), name)
	}
	s.offerHooks(ctx)
	s.hintUnshared(all)
	doubts := formation.Doubts(name, value)
	s.sayDoubts(name, value, doubts)
	if !scan.Searchable([]byte(value)) && !slices.Contains(doubts, formation.IsNoValue) {
		s.hint("the value is too plain to be told from ordinary text: hooks and 'check' do not look for it elsewhere")
	}
	return nil
}

// sayStored answers who gave a value.
func (w *writing) sayStored(name, value string, had, changed bool) {
	s, where := w.s, w.s.name(w.Formation)
	switch {
	case !changed:
		s.say("%s already has that value in %s; nothing changed", name, where)
	case had:
		s.say("Changed %s in %s: %s", name, where, s.seen(value))
	default:
		s.say("Added %s to %s: %s", name, where, s.seen(value))
	}
}
