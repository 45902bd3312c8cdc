package commands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/urfave/cli/v2"
)

func (r *runner) textconvCommand() *cli.Command {
	return &cli.Command{
		Name:      "textconv",
		Usage:     "show a secrets.enc as git's diffs have it (git calls this)",
		UsageText: "FILE",
		Hidden:    true,
		Description: `   git config diff.muxi-secrets.textconv "git muxi-secrets textconv"

Prints a line for each name, with a mark that changes when the value does and
that tells nothing to whoever lacks the key.`,
		Action: r.action(func(_ context.Context, s *session, c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("'textconv' takes one FILE").hint("git calls it: 'git diff' shows what it prints")
			}
			return s.textconv(c.Args().First())
		}),
	}
}

// maxSealed bounds what is read of a secrets.enc, in bytes.
const maxSealed = 256 << 20

// textconv prints a vault as gitattributes(5) has a textconv filter do. git runs
// it once for each version it shows, at the top of the work tree, with the file
// itself or a temp file: it never says which formation that one is of. A vault
// that does not open is one line, so that git goes on.
func (s *session) textconv(file string) error {
	full := s.at(file)
	in, err := s.openAwaited(full)
	if err != nil {
		return err
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, maxSealed+1))
	if err != nil {
		return &safefile.Error{Op: "read", Path: full, Err: err}
	}
	if len(content) > maxSealed {
		sum := sha256.New()
		sum.Write(content)
		if _, err := io.Copy(sum, in); err != nil {
			return &safefile.Error{Op: "read", Path: full, Err: err}
		}
		_, err := fmt.Fprintf(s.Out, "(longer than %d MiB; %x)\n", maxSealed>>20, sum.Sum(nil))
		return err
	}
	if _, err := crypto.Detect(content); err != nil {
		_, err := s.Out.Write(asItIs(content))
		return err
	}

	keys, at := s.keysFor(full)
	var text []byte
	if vault, key, err := keys.Open(at, content, nil); err == nil {
		text = vault.Describe(key)
	} else {
		text = describeSealed(content, key, s.again(), err)
	}
	if at := crypto.Beside(content); at >= 0 {
		text = append(append(text, "(beside the seal, not encrypted:)\n"...), asItIs(content[at:])...)
	}
	_, err = s.Out.Write(text)
	return err
}

// asItIs is what a diff has of a file that is no vault: git was told to ask about
// it all the same, and a change of it must not vanish. Text is shown, which git
// would have done, and to git a NUL alone makes it none (letters in Latin-1 are
// text); of what is none, a hash is.
func asItIs(content []byte) []byte {
	switch {
	case len(content) == 0:
		return []byte("(empty file)\n")
	case bytes.IndexByte(content, 0) < 0:
		return content
	}
	return fmt.Appendf(nil, "(no text; %x)\n", sha256.Sum256(content))
}

// keysFor finds the keys for a file of unknown origin, and its path from the top
// of the repository where it lies in the work tree. No git is started.
func (s *session) keysFor(full string) (*history.Keys, string) {
	dir := filepath.Dir(full)
	layout, ok := s.where()
	if !ok {
		return history.NewKeys(s.ctx, nil, dir), filepath.Base(full)
	}
	if rel, ok := paths.Below(layout.Top, paths.Real(dir)); ok && layout.Top != "" {
		return s.keys(), path.Join(rel, filepath.Base(full))
	}
	return s.keys(), ""
}

// describeSealed says in a line why a sealed file is not shown. Two versions
// differ in it by a hash of their bytes. key, where not nil, opens it;
// on is how this program is called, and err why none does.
func describeSealed(sealed []byte, key *crypto.Key, on string, err error) []byte {
	why := "sealed; no key here opens it; " + on + " unlock"
	if _, tracked := errors.AsType[*formation.TrackedKeyError](err); tracked {
		why = "sealed; git tracks a " + formation.KeyFile + ", and none is read; " + on + " status"
	}
	if key != nil {
		why = "opens, but holds no JSON object of names and values"
	}
	sum := sha256.Sum256(sealed)
	return fmt.Appendf(nil, "(%s; %x)\n", why, sum[:6])
}

var errNobodyAsked = errors.New("no identity that asks nobody")

// unwrapAlone opens a wrapped key with those of a person's identities that ask
// for nothing: no passphrase, no touch of a device.
func (s *session) unwrapAlone(ctx context.Context) func(wrapped []byte) ([]byte, error) {
	var list []*crypto.Identity
	looked := false
	return func(wrapped []byte) ([]byte, error) {
		if !looked {
			looked = true
			list = s.readyIdentities(ctx)
		}
		if len(list) == 0 {
			return nil, errNobodyAsked
		}
		content, _, err := crypto.Unwrap(wrapped, list, nil)
		return content, err
	}
}

// readyIdentities reads the identities a person has, without those of plugins: a
// plugin may wait for a person to touch something.
func (s *session) readyIdentities(ctx context.Context) []*crypto.Identity {
	files := s.usualIdentities()
	if repo, err := s.repository(); err == nil && repo != nil {
		if file, ok, err := repo.Config(ctx, identityConfig); err == nil && ok && file != "" {
			files = append([]string{s.at(s.home(file))}, files...)
		}
	}
	var list []*crypto.Identity
	for _, file := range files {
		content, err := safefile.Read(file, maxIdentityFile)
		if err != nil {
			continue
		}
		var kept []byte
		for line := range bytes.Lines(content) {
			if !bytes.HasPrefix(bytes.ToUpper(bytes.TrimSpace(line)), []byte("AGE-PLUGIN-")) {
				kept = append(kept, line...)
			}
		}
		pub, _ := safefile.Read(file+".pub", maxIdentityFile)
		ready, _ := crypto.ParseIdentities(kept, pub, file)
		list = append(list, ready...)
	}
	return list
}
