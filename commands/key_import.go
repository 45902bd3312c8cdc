package commands

import (
	"bytes"
	"context"
	"errors"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// How a key comes in: asked for, from a file or a pipe, sealed or plain.

func (s *session) keyImport(ctx context.Context, from string, identities []string) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	content, err := s.keyInput(ctx, from)
	if err != nil {
		return err
	}
	if err = s.importKey(ctx, f, content, identities); err == nil {
		s.remindOfHooks(ctx)
	}
	return err
}

// keyInput reads a key or a sealed one from where a person says.
func (s *session) keyInput(ctx context.Context, from string) ([]byte, error) {
	if from == "" && s.InIsPiped { // key import < FILE
		if content, err := s.keyInput(ctx, "-"); err != nil || len(content) > 0 {
			return content, err
		}
	}
	switch from {
	case "-":
		return s.readInput()
	case "":
		terminal, err := s.openTerminal("give the key as a file, or on standard input: '%s key import -'", s.again())
		if err != nil {
			return nil, err
		}
		defer terminal.Close()
		answer, err := terminal.Ask(ctx, "Key (hidden): ", tty.Options{Hidden: true, Last: true})
		return []byte(answer), err
	}
	path := s.at(s.home(from))
	content, err := safefile.Read(path, maxKeyInput)
	if err != nil {
		return nil, usage("cannot read the key from that file (its name is not repeated here): %s", safefile.Cause(err)).
			hint("a key is never an argument: give the file that holds it, or '-' for standard input")
	}
	return content, nil
}

// importKey takes in what holds a key: the key, or a sealed one.
func (s *session) importKey(ctx context.Context, f *formation.Formation, content []byte, identities []string) error {
	if len(content) > maxKeyInput {
		return usage("that is longer than any key; nothing was changed")
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return usage("there is no key in what was given: it is empty; nothing was changed").
			hint("in CI: is the variable that holds the key set for this job?")
	}
	if !crypto.IsBinary(content) { // of which each byte counts
		content = []byte(crypto.Unquote(string(bytes.TrimSpace(armoredBlock(crypto.HandedOver(content))))))
	}
	if format, err := crypto.Detect(content); err == nil && format == crypto.Age {
		opened, err := s.openSealedKey(ctx, content, identities)
		if err != nil {
			return err
		}
		content = opened
	}
	key, err := crypto.ParseKey(content)
	if _, sealed := crypto.Detect(content); err != nil && crypto.ReasonOf(sealed) == crypto.Truncated {
		return usage("the sealed key is cut short; nothing was changed").hint("was all of it copied, from the BEGIN line to the END line?")
	}
	if err != nil {
		return (usage("what was given is no key: %v; nothing was changed", err)).
			hint("a Fernet key has 44 characters, an age key starts with AGE-SECRET-KEY-")
	}
	took, err := s.takeKey(ctx, f, key.File(), true)
	if err != nil {
		return err
	}
	if took == keySame {
		s.say("%s has that key already", s.name(f))
	} else {
		s.say("Imported the %s of %s", keyNow(key), s.name(f))
	}
	return nil
}

// armoredBlock finds a whole armored age file in a text, such as a mail that quotes
// or indents it or a variable that has its lines in one; else it returns the text.
func armoredBlock(text []byte) []byte {
	const begin, end = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
	_, rest, _ := bytes.Cut(text, []byte(begin))
	body, _, whole := bytes.Cut(rest, []byte(end))
	if !whole {
		return text
	}

	for _, escaped := range []string{`\r`, `\n`} {
		body = bytes.ReplaceAll(body, []byte(escaped), nil)
	}
	block := []byte(begin)
	for column, c := range bytes.Map(armorCharacter, body) {
		if column%64 == 0 {
			block = append(block, '\n')
		}
		block = append(block, c)
	}
	return append(block, "\n"+end+"\n"...)
}

// armorCharacter keeps what base64 is written with.
func armorCharacter(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
		return c
	}
	return -1
}

// openSealedKey opens what 'key export' or age made.
func (s *session) openSealedKey(ctx context.Context, sealed []byte, files []string) ([]byte, error) {
	if crypto.NeedsPassphrase(sealed) {
		terminal, err := s.openTerminal("this key is sealed with a passphrase, which is asked for on a terminal")
		if err != nil {
			return nil, err
		}
		defer terminal.Close()
		words, err := terminal.Ask(ctx, "Passphrase of the key (hidden): ", tty.Options{Hidden: true, Last: true})
		if err != nil {
			return nil, err
		}
		content, err := crypto.UnwrapWithPassphrase(sealed, []byte(words))
		if err != nil {
			return nil, s.explainSealedKey(err, nil)
		}
		return content, nil
	}
	have, err := s.identities(files)
	if err != nil {
		return nil, err
	}
	content, _, err := s.unwrap(ctx, sealed, have)
	if err != nil {
		return nil, s.explainSealedKey(err, have)
	}
	return content, nil
}

func (s *session) explainSealedKey(err error, have *identities) error {
	e := &Error{Code: exitNoKey, Err: err}
	switch crypto.ReasonOf(err) {
	case crypto.WrongPassphrase:
		return e.line("that is not the passphrase of this key, or the key was damaged on its way; nothing was changed").hint("try again")
	case crypto.NoIdentity:
		e.line("the key is sealed for somebody else: none of your keys opens it; nothing was changed")
		for _, identity := range sources(have.list) {
			e.line("tried %s", s.showOwn(identity))
		}
		return e.hint("name yours with --identity FILE, or send whoever made it your public key")
	case crypto.NeedsPerson:
		return e.line("the key opens only with something that asks for a passphrase, and there is no terminal to ask on").
			hint("run it on a terminal, or name a key without a passphrase with --identity FILE")
	}
	if own, ok := errors.AsType[*Error](err); ok {
		return own // an identity that cannot be read
	}
	if own := s.explain(err); own.Code == exitInterrupted || own.Code == exitUsage {
		return own
	}
	return e.line("cannot open the sealed key: %v; nothing was changed", err).hint("was all of it copied, from the BEGIN line to the END line?")
}
