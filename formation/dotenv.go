package formation

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// Assignment is one NAME=VALUE of a .env file.
type Assignment struct {
	Spelled string // the name as the file has it
	Name    string // normalised
	Value   string
	Line    int // 1-based
	// Dollar says that other readers of .env files would put something in place of
	// a $ of this value, or take the backslash before one away.
	Dollar bool
}

// DotenvError says where a .env file cannot be read. It never repeats the line.
type DotenvError struct {
	Line   int
	Reason string
}

func (e *DotenvError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// NestedError says which entry of a JSON file has parts of its own.
type NestedError struct {
	Line int
	Name string // as the file has it; "" if that could be a value
	List bool   // it is a list, and no object
}

func (e *NestedError) Error() string {
	whose, kind := "its value", "an object"
	if e.Name != "" {
		whose = "the value of " + e.Name
	}
	if e.List {
		kind = "a list"
	}
	return fmt.Sprintf("line %d: %s is %s, not a text", e.Line, whose, kind)
}

// SealedDotenvError says that a file's values are another tool's ciphertext.
type SealedDotenvError struct {
	Line   int
	Tool   string // "dotenvx" or "sops"
	Format string // "dotenv", "json", "yaml" or "ini"
	// Section is the one of an INI file that the line is in, "SECTION" where its name
	// could be a value.
	Section string
}

func (e *SealedDotenvError) Error() string {
	return fmt.Sprintf("line %d: encrypted with %s", e.Line, e.Tool)
}

// ParseDotenv reads a .env file. `export ` is stripped; $ is never expanded;
// single quotes and backticks are literal; double quotes know \n \t \" \\ and keep
// any other backslash; quoted values may span lines, and quoted parts that touch
// are one value, as in a shell; ` #` behind an unquoted value starts a comment;
// NAME= is a template line and is left out, and so is the public key that dotenvx
// keeps in such a file. CRLF, a BOM and UTF-16 with a BOM are fine. JSON, an object
// of names and values as 'export' writes it, is read as well.
//
// The error is a *DotenvError, a *NestedError or, for ciphertext, a
// *SealedDotenvError.
func ParseDotenv(content []byte) ([]Assignment, error) {
	text, err := dotenvText(content)
	if err != nil {
		return nil, err
	}

	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return parseJSON(text)
	}

	var list []Assignment
	p := dotenvParser{text: text, line: 1}
	for p.at < len(p.text) {
		a, ok, err := p.next()
		tool := sealedBy(a)
		if err != nil || tool != "" {
			// No .env file, or not such a one: sops keeps the format of what it seals.
			if sealed := sopsFile(text); sealed != nil {
				return nil, sealed
			}
		}
		if err != nil {
			return nil, err
		}
		if tool != "" {
			return nil, &SealedDotenvError{Line: a.Line, Tool: tool, Format: "dotenv"}
		}
		if ok && !isNote(a) {
			list = append(list, a)
		}
	}
	return list, nil
}

// sealedBy names the tool that an assignment is the ciphertext or a note of.
func sealedBy(a Assignment) string {
	switch {
	case strings.HasPrefix(a.Value, "encrypted:"):
		return "dotenvx"
	case strings.HasPrefix(a.Value, "ENC["), strings.HasPrefix(a.Spelled, "sops_"):
		return "sops"
	}
	return ""
}

// sopsFile is the error for a file that sops sealed as YAML or as INI; nil for any
// other.
func sopsFile(text string) *SealedDotenvError {
	sealed := &SealedDotenvError{Tool: "sops"}
	section, n := "DEFAULT", 0 // as sops calls what stands above the first
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "sops:":
			sealed.Format = "yaml"
		case line == "[sops]":
			sealed.Format = "ini"
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		case sealed.Line == 0 && strings.Contains(line, "ENC[AES256_GCM,data:"):
			sealed.Line, sealed.Section = n, section
		}
	}
	switch {
	case sealed.Line == 0 || sealed.Format == "":
		return nil
	case sealed.Format != "ini":
		sealed.Section = ""
	case !isName(sealed.Section):
		sealed.Section = "SECTION"
	}
	return sealed
}

// isName reports whether a text may be repeated as a name: it has the shape of one,
// and not of a key.
func isName(text string) bool {
	return Normalize(text) != "" && !strings.ContainsFunc(text, notInName) && KeyShape(text) == ""
}

// dotenvText is the text of a file in UTF-8, or in UTF-16 as PowerShell's > writes.
func dotenvText(content []byte) (string, error) {
	text := crypto.HandedOver(content)
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size <= 1 {
			return "", &DotenvError{bytes.Count(text[:at], []byte("\n")) + 1, "it is not UTF-8 text"}
		}
		at += size
	}
	return string(text), nil
}

// isNote reports whether an assignment is what dotenvx leaves in a file that it
// has decrypted, and no secret.
func isNote(a Assignment) bool { return strings.HasPrefix(a.Spelled, "DOTENV_PUBLIC_KEY") }

type dotenvParser struct {
	text string
	at   int
	line int
	// dollar says that the value read last has a $ that means something elsewhere.
	dollar bool
	// ansi has $'...' read as bash and zsh do.
	ansi bool
}

// next reads one line, or several where a quoted value spans them.
func (p *dotenvParser) next() (a Assignment, ok bool, err error) {
	a.Line = p.line
	line := p.rest()
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		p.skipLine()
		return a, false, nil
	}

	if inner := crypto.Unquote(trimmed); inner != trimmed {
		within := dotenvParser{text: inner, line: p.line, ansi: p.ansi}
		p.skipLine()
		return within.next() // "NAME=VALUE"
	}

	name, value, found := strings.Cut(line, "=")
	if !found {
		return a, false, &DotenvError{p.line, "it has no '='"}
	}

	name = withoutExport(name)

	a.Spelled, a.Name = name, Normalize(name)
	switch {
	case a.Name == "":
		return a, false, &DotenvError{p.line, "its name has no letter or digit"}
	case KeyShape(name) != "":
		return a, false, &DotenvError{p.line, "what stands before its '=' looks like a key, and not like a name"}
	case strings.ContainsFunc(name, notInName):
		// A line of a text or of YAML, perhaps with a value in what stands before the =.
		return a, false, &DotenvError{p.line, "what stands before its '=' is no name"}
	case strings.Trim(value, " \t=") == "" && strings.Contains(value, "="):
		return a, false, &DotenvError{p.line, "it ends in '=' as base64 does, and is no NAME=VALUE"}
	}

	lead := len(value) - len(strings.TrimLeft(value, " \t"))
	if p.opensQuote(value[lead:]) {
		p.at += len(line) - len(value) + lead
		a.Value, err = p.quoted()
		a.Dollar = p.dollar
		return a, a.Value != "" && err == nil, err
	}

	p.skipLine()
	a.Value = unquotedValue(value)
	a.Dollar = hasVariable(a.Value)
	return a, a.Value != "", nil
}

// withoutExport is the name of a shell's assignment.
func withoutExport(name string) string {
	name = strings.TrimSpace(name)
	if rest, ok := strings.CutPrefix(name, "export"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		name = strings.TrimSpace(rest)
	}
	return name
}

// notInName reports whether no name of a variable that people write has this
// character.
func notInName(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r)
}

// hasVariable reports whether text has a $ that starts a variable or a command in
// a shell or in readers of .env files that go by one, or that is escaped.
func hasVariable(text string) bool {
	for i := range len(text) {
		if text[i] != '$' {
			continue
		}
		if i > 0 && text[i-1] == '\\' {
			return true
		}
		if rest := text[i+1:]; rest != "" && (rest[0] == '{' || rest[0] == '(' || rest[0] == '_' || rest[0]|0x20 >= 'a' && rest[0]|0x20 <= 'z') {
			return true
		}
	}
	return false
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// opensQuote reports whether text begins with a quoted part.
func (p *dotenvParser) opensQuote(text string) bool {
	return text != "" && isQuote(text[0]) || p.ansi && strings.HasPrefix(text, "$'")
}

// rest is what remains of the current line, without its ending.
func (p *dotenvParser) rest() string {
	line, _, _ := strings.Cut(p.text[p.at:], "\n")
	return strings.TrimSuffix(line, "\r")
}

func (p *dotenvParser) skipLine() {
	next := strings.IndexByte(p.text[p.at:], '\n')
	if next < 0 {
		p.at = len(p.text)
		return
	}
	p.at += next + 1
	p.line++
}

func unquotedValue(value string) string {
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.TrimSpace(value)
}

// quoted reads the quoted parts that stand side by side here, and the rest of the
// last one's line, on which only a comment may stand.
func (p *dotenvParser) quoted() (string, error) {
	var b strings.Builder
	p.dollar = false
	for p.opensQuote(p.text[p.at:]) {
		if p.text[p.at] == '$' {
			if err := p.ansiPart(&b); err != nil {
				return "", err
			}
			continue
		}
		quote, from := p.text[p.at], p.at
		p.at++
		if err := p.part(&b, quote); err != nil {
			return "", err
		}
		p.dollar = p.dollar || quote != '\'' && hasVariable(p.text[from:p.at])
	}

	rest := strings.TrimSpace(p.rest())
	if rest != "" && rest[0] != '#' {
		return "", &DotenvError{p.line, "something follows the closing quote"}
	}
	p.skipLine()
	return b.String(), nil
}

// part reads up to the quote that closes what was opened and goes past it.
func (p *dotenvParser) part(b *strings.Builder, quote byte) error {
	opened := p.line
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			return nil
		case c == '\\' && quote == '"' && p.at+1 < len(p.text):
			if r, ok := unescape(p.text[p.at+1]); ok {
				b.WriteByte(r)
				p.at++
				continue
			}

			b.WriteByte(c)
		case c == '\r' && p.at+1 < len(p.text) && p.text[p.at+1] == '\n':
			// The line ending of a file from Windows, not part of the value.
		default:
			if c == '\n' {
				p.line++
			}
			b.WriteByte(c)
		}
	}

	return &DotenvError{opened, "its quote is never closed"}
}

func unescape(c byte) (byte, bool) {
	switch c {
	case 'n':
		return '\n', true
	case 't':
		return '\t', true
	case '"', '\\':
		return c, true
	}
	return 0, false
}
