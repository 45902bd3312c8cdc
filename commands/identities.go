package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// maxIdentityFile bounds what is read as an identity, in bytes.
const maxIdentityFile = 1 << 20

// identityConfig names an identity file of a person's own.
const identityConfig = "muxi-secrets.identity"

// identities is what a person can open a wrapped key with, and what was found
// that cannot be used, and why.
type identities struct {
	list     []*crypto.Identity
	unusable []error
	usual    bool // those of the usual places alone: git's configuration was not asked yet
}

// identities collects the identities a person has: the files given, and nothing
// else, or those in the usual places of age and ssh, to which unwrap adds that of
// git config muxi-secrets.identity.
func (s *session) identities(files []string) (*identities, error) {
	have := &identities{}
	for _, file := range files {
		if err := have.add(s.at(s.home(file))); err != nil {
			return nil, s.explainIdentity(err)
		}
	}
	if len(files) > 0 {
		return have, nil
	}
	have.usual = true
	for _, file := range s.usualIdentities() {
		err := have.add(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			have.unusable = append(have.unusable, err)
		}
	}
	return have, nil
}

// addConfigured puts that of git's configuration in front.
func (s *session) addConfigured(ctx context.Context, have *identities) error {
	have.usual = false
	repo, err := s.repository()
	if err != nil || repo == nil {
		return err
	}
	file, ok, err := repo.Config(ctx, identityConfig)
	if err != nil || !ok || file == "" {
		return err
	}
	if formation.WholeKey(file) != "" {
		return usage("'git config %s' has a private key (it is not repeated here); it takes the name of the file that holds it", identityConfig).
			hint("'git config --unset %s' takes it out; whoever reads that configuration has it: make a new one", identityConfig)
	}
	usual := have.list
	have.list = nil
	if err := have.add(s.at(s.home(file))); err != nil {
		return s.explainIdentity(err).hint("it is named by 'git config %s'", identityConfig)
	}
	have.list = append(have.list, usual...)
	return nil
}

// add reads one file. What in it works is taken even where the rest does not.
func (have *identities) add(path string) error {
	content, err := safefile.Read(path, maxIdentityFile)
	if err != nil {
		return &safefile.Error{Op: "read", Path: path, Err: err}
	}
	pub, _ := safefile.Read(path+".pub", maxIdentityFile)
	list, err := crypto.ParseIdentities(content, pub, path)
	have.list = append(have.list, list...)
	return err
}

// homeDir is the person's home folder, or "".
func (s *session) homeDir() string {
	if runtime.GOOS == "windows" {
		return s.Getenv("USERPROFILE")
	}
	return s.Getenv("HOME")
}

// home replaces a leading ~/ as a shell does.
func (s *session) home(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && s.homeDir() != "" {
		return filepath.Join(s.homeDir(), rest)
	}
	return path
}

// usualIdentities are the files in which age and ssh keep a person's keys,
// those there are or may be.
func (s *session) usualIdentities() []string {
	home := s.homeDir()
	var configs []string
	if dir := s.Getenv("XDG_CONFIG_HOME"); dir != "" {
		configs = append(configs, dir)
	}
	switch {
	case runtime.GOOS == "windows":
		if dir := s.Getenv("APPDATA"); dir != "" {
			configs = append(configs, dir)
		}
	case home != "":
		if runtime.GOOS == "darwin" {
			configs = append(configs, filepath.Join(home, "Library", "Application Support"))
		}
		configs = append(configs, filepath.Join(home, ".config"))
	}
	var files []string
	for _, dir := range configs {
		for _, name := range []string{filepath.Join("age", "keys.txt"), filepath.Join("sops", "age", "keys.txt")} {
			if file := filepath.Join(dir, name); !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	if home == "" {
		return files
	}
	dir := filepath.Join(home, ".ssh")
	entries, _ := os.ReadDir(dir) // sorted: id_ecdsa, id_ed25519, id_rsa
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, "id_") && !strings.HasSuffix(name, ".pub") && !strings.HasSuffix(name, "-cert") {
			files = append(files, filepath.Join(dir, name))
		}
	}
	return files
}

func (s *session) explainIdentity(err error) *Error {
	var bad *crypto.IdentityError
	if errors.As(err, &bad) {
		return &Error{Code: exitNoKey, Err: err, Lines: []string{fmt.Sprintf("cannot use '%s' as an identity: %s", s.showOwn(bad.Source), bad.Reason)}}
	}
	e := s.explain(err)
	e.Code = exitNoKey
	return e
}

// unwrap opens a wrapped key with what a person has.
func (s *session) unwrap(ctx context.Context, wrapped []byte, have *identities) ([]byte, *crypto.Identity, error) {
	if have.usual {
		// Mostly one of the usual ones fits without a question, and git need not
		// be started to ask for more.
		if content, who, err := crypto.Unwrap(wrapped, have.list, nil); err == nil {
			return content, who, nil
		}
		if err := s.addConfigured(ctx, have); err != nil {
			return nil, nil, err
		}
	}
	return crypto.Unwrap(wrapped, have.list, s.talk(ctx))
}

// talk is how identities and plugins ask the person, on the terminal, which is
// opened only then.
func (s *session) talk(ctx context.Context) *crypto.Talk {
	ask := func(prompt string, hidden bool) (string, error) {
		terminal, err := s.Terminal()
		if err != nil {
			return "", err
		}
		defer terminal.Close()
		return terminal.Ask(ctx, sanitize(prompt), tty.Options{Hidden: hidden, Last: true})
	}
	return &crypto.Talk{
		Passphrase: func(of string) ([]byte, error) {
			answer, err := ask(fmt.Sprintf("Passphrase of %s (hidden): ", s.showOwn(of)), true)
			if errors.Is(err, tty.ErrNoTerminal) {
				return nil, usage("'%s' fits, but asks for a passphrase, and there is no terminal to ask on", s.showOwn(of)).
					hint("run it on a terminal, or name a key without a passphrase with --identity FILE")
			}
			return []byte(answer), err
		},
		Message: func(plugin, text string) error {
			fmt.Fprintf(s.Err, "%s: age-plugin-%s: %s\n", program, sanitize(plugin), sanitize(text))
			return nil
		},
		Ask: func(plugin, prompt string, secret bool) (string, error) {
			return ask(fmt.Sprintf("age-plugin-%s: %s: ", plugin, strings.TrimRight(prompt, ": ")), secret)
		},
		Confirm: func(plugin, prompt, yes, no string) (bool, error) {
			choices := yes
			if no != "" {
				choices += "/" + no
			}
			answer, err := ask(fmt.Sprintf("age-plugin-%s: %s (%s)? ", plugin, strings.TrimRight(prompt, "? "), choices), false)
			return strings.EqualFold(strings.TrimSpace(answer), yes), err
		},
	}
}
