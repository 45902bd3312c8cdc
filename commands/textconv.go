package commands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
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
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("'textconv' takes one FILE").hint("git calls it: 'git diff' shows what it prints")
			}
			return s.textconv(ctx, c.Args().First())
		}),
	}
}

// maxSealed bounds what is read of a secrets.enc, in bytes.
const maxSealed = 256 << 20

// textconv prints a vault as gitattributes(5) has a textconv filter do. git runs
// it once for each version it shows, at the top of the work tree, with the file
// itself or a temp file: it never says which formation that one is of. What does
// not open is one line, so that git goes on.
func (s *session) textconv(ctx context.Context, file string) error {
	full := s.at(file)
	in, err := os.Open(full)
	if err != nil {
		return &formation.FileError{Op: "read", Path: full, Err: err}
	}
	defer in.Close()
	sealed, err := io.ReadAll(io.LimitReader(in, maxSealed))
	if err != nil {
		return &formation.FileError{Op: "read", Path: full, Err: err}
	}
	keys, at := s.keysFor(ctx, full)
	vault, key, err := keys.Open(at, sealed, nil)
	var text []byte
	if err == nil {
		text = vault.Describe(key)
	} else {
		text = []byte("(" + describeSealed(sealed, key, err) + ")\n")
	}
	_, err = s.Out.Write(text)
	return err
}

// keysFor finds the keys for a file of unknown origin, and its path from the top
// of the repository where it lies in the work tree. No git is started.
func (s *session) keysFor(ctx context.Context, full string) (*hooks.Keys, string) {
	dir := filepath.Dir(full)
	layout, ok := s.where()
	if !ok {
		return hooks.NewKeys(ctx, nil, dir), filepath.Base(full)
	}
	repo, err := s.repository()
	if err != nil {
		return hooks.NewKeys(ctx, nil, dir), filepath.Base(full)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if rel, err := filepath.Rel(layout.Top, dir); layout.Top != "" && err == nil && filepath.IsLocal(rel) {
		return hooks.NewKeys(ctx, repo, ""), path.Join(filepath.ToSlash(rel), filepath.Base(full))
	}
	return hooks.NewKeys(ctx, repo, ""), ""
}

// describeSealed says in a line why a secrets.enc is not shown. Two versions
// differ in it by a hash of the sealed bytes; text that is not sealed is never
// hashed, since a short value could be guessed from that.
func describeSealed(sealed []byte, key *crypto.Key, err error) string {
	sum := sha256.Sum256(sealed)
	mark := hex.EncodeToString(sum[:6])
	reason := crypto.ReasonOf(err)
	if _, broken := crypto.Detect(sealed); broken != nil {
		reason = crypto.ReasonOf(broken) // whatever is wrong with the key
	}
	switch reason {
	case crypto.NotSealed:
		return "not encrypted at all: not shown"
	case crypto.MergeMarkers:
		return "merge markers: not shown"
	case crypto.EmptyFile:
		return "empty file"
	case crypto.Truncated:
		return fmt.Sprintf("truncated; %s", mark)
	}
	if key != nil {
		return fmt.Sprintf("opens, but holds no JSON object of names and values; %s", mark)
	}
	return fmt.Sprintf("sealed; no key here opens it; git muxi-secrets unlock; %s", mark)
}

// gitKeys finds keys for the versions of vaults that git has, wrapped ones
// included.
func (s *session) gitKeys(ctx context.Context, repo gitutil.Repository) *hooks.Keys {
	keys := hooks.NewKeys(ctx, repo, "")
	keys.Unwrap = s.unwrapAlone(ctx)
	return keys
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
		content, err := readSmall(file, maxIdentityFile)
		if err != nil {
			continue
		}
		var kept []byte
		for line := range bytes.Lines(content) {
			if !bytes.HasPrefix(bytes.ToUpper(bytes.TrimSpace(line)), []byte("AGE-PLUGIN-")) {
				kept = append(kept, line...)
			}
		}
		pub, _ := readSmall(file+".pub", maxIdentityFile)
		ready, _ := crypto.ParseIdentities(kept, pub, file)
		list = append(list, ready...)
	}
	return list
}
