package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// The commands that bring a key from a vault elsewhere and put it there. They
// come from git's configuration alone, never from a file that is cloned.
const (
	pullConfig = "muxi-secrets.keyPullCommand"
	pushConfig = "muxi-secrets.keyPushCommand"
)

// maxKeyInput bounds what is read as a key or a sealed one, in bytes.
const maxKeyInput = 1 << 20

func (r *runner) keyCommand() *cli.Command {
	return &cli.Command{
		Name:      "key",
		Usage:     "hand a key on, take one in, or keep it in a vault elsewhere",
		UsageText: "export|import|fingerprint|pull|push",
		Description: `   git muxi-secrets key export --passphrase > key.age
   git muxi-secrets key import key.age`,
		Subcommands: []*cli.Command{
			{
				Name:      "export",
				Usage:     "print the key, sealed for people or with a passphrase",
				UsageText: "--to RECIPIENT|FILE... | --passphrase",
				Description: `   git muxi-secrets key export --to ~/keys/bob.pub
   git muxi-secrets key export --passphrase

What it prints is an armored age file of some lines, fit for chat, mail or a QR
code; 'key import' takes it in, and so does 'age -d'. Tell the passphrase another
way.`,
				Flags: []cli.Flag{
					&cli.StringSliceFlag{Name: "to", Usage: "seal it for `RECIPIENT`, or for those in a file; may be given more than once"},
					&cli.BoolFlag{Name: "passphrase", Usage: "seal it with a passphrase, which is asked for"},
				},
				Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
					return s.keyExport(ctx, c.StringSlice("to"), c.Bool("passphrase"))
				}),
			},
			{
				Name:      "import",
				Usage:     "take a key in, if it opens the vault",
				UsageText: "[FILE|-] [--identity FILE]...",
				Description: `   git muxi-secrets key import key.age
   printf %s "$FORMATION_KEY" | git muxi-secrets key import -

A sealed key (from 'key export' or age) opens with your identities or its
passphrase; a plain one is taken as it is. Without FILE it is read from a pipe or
a redirected file, else asked for. A key that is there already is kept for older
commits. None is ever made.`,
				Flags: []cli.Flag{
					&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "the `FILE` of an age or SSH private key; may be given more than once"},
				},
				Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
					if c.NArg() > 1 {
						return usage("'key import' takes one FILE, and never a key as an argument (not repeated here)").hint("see '%s -h'", c.Command.HelpName)
					}
					return s.keyImport(ctx, c.Args().First(), c.StringSlice("identity"))
				}),
			},
			{
				Name:        "fingerprint",
				Usage:       "print what names the key and does not help to find it",
				UsageText:   "[--all]",
				Description: "   git muxi-secrets key fingerprint",
				Flags:       []cli.Flag{allFlag()},
				Action: r.plain(func(_ context.Context, s *session, c *cli.Context) error {
					return s.each(s.keyFingerprint)
				}),
			},
			{
				Name:      "pull",
				Usage:     "get the key from where 'git config " + pullConfig + "' says",
				UsageText: "[--all]",
				Description: `   git config muxi-secrets.keyPullCommand 'op read op://team/{name}/key'
   git muxi-secrets key pull

The command prints the key. {formation} is the formation's path from the top of
the repository, {name} its folder's name, both quoted for the shell.`,
				Flags: []cli.Flag{allFlag()},
				Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
					return s.each(func(f *formation.Formation) error { return s.keyPull(ctx, f) })
				}),
			},
			{
				Name:      "push",
				Usage:     "give the key to what 'git config " + pushConfig + "' says",
				UsageText: "[--all]",
				Description: `   git config muxi-secrets.keyPushCommand 'pass insert -m -f team/{name}'
   git muxi-secrets key push

The command reads the key from standard input.`,
				Flags: []cli.Flag{allFlag()},
				Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
					return s.each(func(f *formation.Formation) error { return s.keyPush(ctx, f) })
				}),
			},
		},
	}
}

func (s *session) keyExport(ctx context.Context, to []string, passphrase bool) error {
	if (len(to) > 0) == passphrase {
		return usage("'key export' needs --to RECIPIENT or --passphrase, and one of them only").
			hint("a key is never printed in the clear; the team's way is '%s share add'", s.again())
	}
	var recipients []*crypto.Recipient
	for _, arg := range to {
		people, err := s.peopleIn(arg)
		if err != nil {
			return err
		}
		for _, p := range people {
			recipients = append(recipients, p.recipient)
		}
	}
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, err := s.open(f) // nobody is helped by a key that does not open the vault
	if err != nil {
		return err
	}
	content := opened.Found.Content
	var sealed []byte
	if passphrase {
		words, err := s.newPassphrase(ctx)
		if err != nil {
			return err
		}
		if sealed, err = crypto.WrapWithPassphrase(content, words); err != nil {
			return failed(err, "cannot seal the key: %v", err)
		}
	} else if sealed, err = crypto.Wrap(content, recipients, s.talk(ctx)); err != nil {
		return s.explainWrap(err, len(recipients))
	}
	if _, err := s.Out.Write(sealed); err != nil {
		return err
	}
	s.hint("'%s key import FILE' takes it in, in a clone of this repository", s.again())
	return nil
}

// newPassphrase asks for a passphrase, twice.
func (s *session) newPassphrase(ctx context.Context) ([]byte, error) {
	terminal, err := s.openTerminal("without one, seal the key for a person: '%s key export --to RECIPIENT'", s.again())
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	first, err := terminal.Ask(ctx, "New passphrase (hidden): ", tty.Options{Hidden: true})
	if err != nil {
		return nil, err
	}
	if len([]rune(first)) < 8 {
		return nil, usage("a passphrase has at least 8 characters; nothing was printed").hint("four random words are a good one")
	}
	second, err := terminal.Ask(ctx, "The same again (hidden): ", tty.Options{Hidden: true, Last: true})
	if err != nil {
		return nil, err
	}
	if first != second {
		return nil, usage("the two passphrases differ; nothing was printed").hint("try again")
	}
	return []byte(first), nil
}

func (s *session) keyFingerprint(f *formation.Formation) error {
	var key *crypto.Key
	opened, err := s.open(f)
	if err == nil {
		key = opened.Key
	} else if key, _ = f.ReadKey(); key == nil { // .key, whether it opens the vault or not
		return err
	}
	if s.all {
		fmt.Fprintf(s.Out, "%s  %s\n", key.Fingerprint(), sanitize(s.name(f)))
		return nil
	}
	fmt.Fprintln(s.Out, key.Fingerprint())
	return nil
}

func (s *session) keyPull(ctx context.Context, f *formation.Formation) error {
	var out bytes.Buffer
	limited := &limitedWriter{&out, maxKeyInput}
	if err := s.keyCommandRun(ctx, f, pullConfig, strings.NewReader(""), limited); err != nil {
		return err
	}
	if len(bytes.TrimSpace(out.Bytes())) == 0 {
		return failed(nil, "the command of 'git config %s' printed nothing; nothing was changed", pullConfig).
			hint("run it by hand: it should print the key on standard output")
	}
	return s.importKey(ctx, f, out.Bytes(), nil)
}

func (s *session) keyPush(ctx context.Context, f *formation.Formation) error {
	// A key that does not open the vault would overwrite one that does.
	opened, err := s.open(f)
	if err != nil {
		return err
	}
	if err := s.keyCommandRun(ctx, f, pushConfig, bytes.NewReader(opened.Found.Content), io.Discard); err != nil {
		return err
	}
	s.say("Pushed the %s of %s", keyNow(opened.Key), s.name(f))
	return nil
}

// keyCommandRun runs a command of git's configuration in the repository's top
// folder. The key goes through its standard streams, nothing else.
func (s *session) keyCommandRun(ctx context.Context, f *formation.Formation, config string, in io.Reader, out io.Writer) error {
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	command, ok, err := repo.Config(ctx, config)
	if err != nil {
		return err
	}
	if !ok || strings.TrimSpace(command) == "" {
		example := "op read op://team/{name}/key"
		if config == pushConfig {
			example = "pass insert -m -f team/{name}"
		}
		return usage("no command is configured: 'git config %s' is not set", config).
			hint("set it, for example: git config %s '%s'", config, example).
			hint("docs/keys.md has one for 1Password, AWS, HashiCorp Vault, Bitwarden, pass, GitHub and GitLab")
	}
	layout := repo.Layout()
	dir := layout.Top
	if dir == "" {
		dir = f.Dir
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		return failed(err, "there is no 'sh' on PATH to run the command of 'git config %s' with", config).hint("Git for Windows brings one along: run this in Git Bash")
	}
	run := exec.CommandContext(ctx, shell, "-c", expandCommand(command))
	run.Dir, run.Stdin, run.Stdout, run.Stderr = dir, in, out, bare(s.Err)
	run.Env = append(run.Environ(), formationVariable+"="+s.fromTop(layout, f.Dir), nameVariable+"="+filepath.Base(paths.Real(f.Dir)))
	if err := run.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failed(err, "the command of 'git config %s' failed: %v; nothing was changed", config, exitText(err)).
			hint("what it printed stands above; see it with 'git config %s', and run it by hand in '%s'", config, s.showFolder(dir))
	}
	return nil
}

// exitText is an error of a process without what it may have printed.
func exitText(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ProcessState.String()
	}
	return err.Error()
}

// expandCommand puts variables in place of a command's {formation} and {name},
// spelled so that a POSIX shell makes each part of one word wherever it stands:
// bare, in quotes, and in command substitutions within those. A folder's name
// comes with whatever is cloned, so it never becomes part of the command's
// text: where this reading of the quotes differs from the shell's, a word may be
// split, and still nothing of it is run.
func expandCommand(command string) string {
	var b strings.Builder
	var open []byte // what is open, outermost first: ' " ` (
	for i := 0; i < len(command); i++ {
		within := byte(0)
		if n := len(open); n > 0 {
			within = open[n-1]
		}
		if variable, length := placeholder(command[i:]); length > 0 {
			switch within {
			case '\'':
				b.WriteString(`'"${` + variable + `}"'`)
			case '"':
				b.WriteString(`${` + variable + `}`)
			default:
				b.WriteString(`"${` + variable + `}"`)
			}
			i += length - 1
			continue
		}
		switch c := command[i]; {
		case within == '\'':
			if c == '\'' {
				open = open[:len(open)-1]
			}
		case c == '\\' && i+1 < len(command):
			b.WriteByte(c)
			i++
		case c == within && c != '(', c == ')' && within == '(':
			open = open[:len(open)-1]
		case c == '"', c == '`', c == '\'' && within != '"',
			c == '(' && (within != '"' || i > 0 && command[i-1] == '$'):
			open = append(open, c)
		}
		b.WriteByte(command[i])
	}
	return b.String()
}

// The variables that a configured command finds the formation in.
const (
	formationVariable = "GIT_MUXI_SECRETS_FORMATION"
	nameVariable      = "GIT_MUXI_SECRETS_NAME"
)

// placeholder returns the variable for the placeholder that text starts with,
// and that one's length.
func placeholder(text string) (variable string, length int) {
	switch {
	case strings.HasPrefix(text, "{formation}"):
		return formationVariable, len("{formation}")
	case strings.HasPrefix(text, "{name}"):
		return nameVariable, len("{name}")
	}
	return "", 0
}

// limitedWriter refuses what is longer than any key.
type limitedWriter struct {
	w    *bytes.Buffer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, errors.New("the command prints more than any key has")
	}
	return l.w.Write(b)
}
