package commands

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
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
}

// asks reports whether the value is asked for on the terminal.
func (o addOptions) asks() bool { return !o.stdin && o.fromFile == "" && o.generate == 0 }

func (r *runner) addCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "add a secret, or give it a new value",
		UsageText: "[NAME] [--stdin | --from-file FILE | --generate[=BYTES]] [--if-missing]",
		Description: `   git muxi-secrets add OPENAI_API_KEY                   asks for the value, hidden
   pass show openai | git muxi-secrets add OPENAI_API_KEY --stdin
   git muxi-secrets add WEBHOOK_SECRET --generate

A value is never an argument: arguments show in the shell's history and in ps.
Without NAME it asks for the formation's folder, the name and the value. The
first secret sets everything up: .key, secrets.enc, the template, .gitignore.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "stdin", Usage: "read the value from standard input; one newline at its end is taken off"},
			&cli.StringFlag{Name: "from-file", Usage: "take every byte of `FILE` as the value"},
			&cli.StringFlag{Name: "generate", Usage: "store `BYTES` random bytes (" + defaultGenerate + " if not given) as URL-safe base64"},
			&cli.BoolFlag{Name: "if-missing", Usage: "do nothing where the secret already has a value"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			opts, err := addOptionsFrom(c)
			if err != nil {
				return err
			}
			return s.add(ctx, opts)
		}),
	}
}

func addOptionsFrom(c *cli.Context) (addOptions, error) {
	o := addOptions{
		name:      c.Args().First(),
		stdin:     c.Bool("stdin"),
		fromFile:  c.String("from-file"),
		ifMissing: c.Bool("if-missing"),
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
		if _, err := nameArgument(o.name); err != nil {
			return o, err
		}
	} else if sources > 0 || o.ifMissing {
		return o, usage("NAME is missing").hint("see '%s -h'", c.Command.HelpName)
	}
	return o, nil
}

// nameArgument normalises the name of a secret as a person gave it. Nothing of
// it is repeated in the error: it may be a value that lost its way.
func nameArgument(spelled string) (string, error) {
	if strings.Contains(spelled, "=") {
		return "", usage("a name has no '=' (what was given is not repeated here, since it may hold a value)").
			hint("give the name alone: '%s add NAME' asks for the value", program)
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
	f, err := s.formation()
	if err != nil {
		return err
	}
	name := formation.Normalize(o.name)
	if o.asks() || o.ifMissing {
		// A look before the prompt: nobody should type a value for nothing.
		opened, err := s.openOrFresh(f, crypto.Fernet)
		if err != nil {
			return err
		}
		if o.ifMissing && opened.Vault.Has(name) {
			s.say("%s is already in %s; nothing changed", name, s.name(f))
			return nil
		}
	}
	value, err := s.addValue(ctx, o, name)
	if err != nil {
		return err
	}
	if err := checkValue(value); err != nil {
		return err
	}
	return s.store(ctx, f, name, value, o.ifMissing)
}

// addAsking is the conversation of MUXI's guide: folder, name, value.
func (s *session) addAsking(ctx context.Context) error {
	terminal, err := s.openTerminal("without one, name the secret and pipe its value in: '%s add NAME --stdin'", program)
	if err != nil {
		return err
	}
	defer terminal.Close()
	suggested := ""
	f, err := s.formation()
	if err == nil {
		suggested = s.showFolder(f.Dir)
	} else if s.dir != "" {
		return err
	} else {
		var listing *Error
		if errors.As(err, &listing) && len(listing.Lines) > 1 {
			terminal.Print("Formations here:")
			for _, line := range listing.Lines[1:] {
				terminal.Print("  " + sanitize(line))
			}
		}
	}
	prompt := "Formation directory: "
	if suggested != "" {
		prompt = fmt.Sprintf("Formation directory [%s]: ", sanitize(suggested))
	}
	dir, err := terminal.Ask(ctx, prompt, tty.Options{})
	if err != nil {
		return err
	}
	if dir = strings.TrimSpace(dir); dir != "" {
		if f, err = formation.At(s.at(dir)); err != nil {
			return err
		}
		s.dir, s.layout, s.looked = f.Dir, nil, false // its repository may be another one
		s.found(f)
	} else if f == nil {
		return usage("no folder was given").hint("name the formation's folder with -C DIR")
	}
	if _, err := s.openOrFresh(f, crypto.Fernet); err != nil {
		return err
	}
	spelled, err := terminal.Ask(ctx, "Key name (for example OPENAI_API_KEY): ", tty.Options{})
	if err != nil {
		return err
	}
	name, err := nameArgument(spelled)
	if err != nil {
		return err
	}
	value, err := terminal.Ask(ctx, fmt.Sprintf("Value of %s (hidden): ", name), tty.Options{Hidden: true, Last: true})
	if err != nil {
		return err
	}
	if err := checkValue(value); err != nil {
		return err
	}
	return s.store(ctx, f, name, value, false)
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
	switch {
	case o.stdin:
		content, err := readLimited(ctx, func() (io.Reader, error) { return struct{ io.Reader }{s.In}, nil })
		if err != nil {
			return "", unreadable(err)
		}
		if len(content) > maxValue {
			return "", tooLong()
		}
		return strings.TrimSuffix(string(content), "\n"), nil
	case o.fromFile != "":
		path := s.at(o.fromFile)
		content, err := readLimited(ctx, func() (io.Reader, error) { return os.Open(path) })
		if err != nil {
			return "", &formation.FileError{Op: "read", Path: path, Err: err}
		}
		if len(content) > maxValue {
			return "", tooLong()
		}
		return string(content), nil
	case o.generate > 0:
		random := make([]byte, o.generate)
		rand.Read(random)
		return base64.URLEncoding.EncodeToString(random), nil
	}
	terminal, err := s.openTerminal("give the value with --stdin, --from-file FILE or --generate")
	if err != nil {
		return "", err
	}
	defer terminal.Close()
	return terminal.Ask(ctx, fmt.Sprintf("Value of %s (hidden): ", name), tty.Options{Hidden: true, Last: true})
}

// readLimited reads what open gives, and at most one byte more than a value may
// have. Opening and reading a pipe may block for good, and a signal does not
// end it: when ctx does, it is left behind, to go with the process.
func readLimited(ctx context.Context, open func() (io.Reader, error)) ([]byte, error) {
	type result struct {
		content []byte
		err     error
	}
	done := make(chan result, 1)
	go func() {
		r, err := open()
		if err != nil {
			done <- result{nil, err}
			return
		}
		if c, ok := r.(io.Closer); ok {
			defer c.Close()
		}
		content, err := io.ReadAll(io.LimitReader(r, maxValue+1))
		done <- result{content, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.content, r.err
	}
}

func unreadable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return failed(err, "cannot read standard input: %v", err)
}

func tooLong() *Error {
	return usage("the value is longer than %d MiB", maxValue>>20).hint("a secret is a key or a password; keep files elsewhere")
}

// checkValue refuses what no vault can hold.
func checkValue(value string) error {
	if value == "" {
		return usage("the value is empty; nothing was changed").hint("to remove a secret: '%s delete NAME'", program)
	}
	if !utf8.ValidString(value) {
		return usage("the value is not UTF-8 text; nothing was changed").
			hint("the vault holds text alone: store binary data encoded, as in 'base64 < FILE | %s add NAME --stdin'", program)
	}
	return nil
}

// store puts one value into the vault, and sets everything up the first time.
func (s *session) store(ctx context.Context, f *formation.Formation, name, value string, ifMissing bool) error {
	w, err := s.openToWrite(ctx, f, crypto.Fernet)
	if err != nil {
		return err
	}
	defer w.close()
	had := w.Vault.Has(name)
	if had && ifMissing {
		s.say("%s is already in %s; nothing changed", name, s.name(f))
		return nil
	}
	w.Vault.Set(name, value)
	changed, err := w.save()
	if err != nil {
		return err
	}
	switch {
	case !changed:
		s.say("%s already has that value in %s; nothing changed", name, s.name(f))
	case had:
		s.say("Changed %s in %s", name, s.name(f))
	default:
		s.say("Added %s to %s", name, s.name(f))
	}
	s.offerHooks(ctx)
	s.warnBackslash(name, value)
	if refs := w.survey.To(name); len(refs) == 0 {
		s.hint("nothing refers to it yet; write ${{ secrets.%s }} where the value belongs", name)
	}
	return nil
}

// warnBackslash speaks of a flaw of today's runtime: it uses the value as the
// replacement of a re.sub, where a backslash is special.
func (s *session) warnBackslash(name, value string) {
	if strings.Contains(value, `\`) {
		s.warn("the value of %s has a backslash, which today's MUXI runtime mangles or refuses when it fills it in", name)
	}
}
