package crypto

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"

	"filippo.io/age/armor"
)

// Detect tells the format of sealed bytes from the bytes alone. A file that was
// damaged without changing its length is still taken for what it was; only a
// key can show the damage.
//
// The error is an [*Error] with the reason [EmptyFile], [MergeMarkers],
// [Truncated], [Filtered] or [NotSealed], and the format is then "".
func Detect(sealed []byte) (Format, error) {
	format, err := inspect(sealed)
	if err != nil {
		return "", err
	}
	return format, nil
}

// IsBinary reports whether content begins as an age file in binary does.
func IsBinary(content []byte) bool { return bytes.HasPrefix(content, []byte(ageIntro)) }

// Beside returns the offset of the first byte in a file that is no part of what
// is sealed, and no blank around it; -1 where there is none. It is asked about
// what [Detect] takes for a sealed file: readers are lenient and pass such bytes
// over, so a vault may open and still hold words that everybody can read. Of an
// age file in binary, nothing but its header can be told from ciphertext.
func Beside(sealed []byte) int {
	if IsBinary(sealed) {
		return -1
	}
	begin := len(sealed) - len(bytes.TrimPrefix(sealed, []byte("\xef\xbb\xbf")))
	for begin < len(sealed) && isBlank(sealed[begin]) {
		begin++
	}

	end := begin
	if looksArmored(sealed) {
		footer := bytes.Index(sealed[begin:], []byte(armor.Footer))
		end = begin + footer + len(armor.Footer)
		if footer < 0 || !isArmor(sealed[begin:end]) {
			return begin
		}
	} else {
		for end < len(sealed) && (sextet(sealed[end]) != noSextet || isBlank(sealed[end])) {
			end++ // a token, which an editor may have wrapped
		}
		for pads := 0; end < len(sealed) && sealed[end] == '=' && pads < 2; pads++ {
			end++
		}
	}
	for ; end < len(sealed); end++ {
		if !isBlank(sealed[end]) {
			return end
		}
	}
	return -1
}

// isArmor reports whether b is the armor of an age file to the letter.
func isArmor(b []byte) bool {
	r := armor.NewReader(bytes.NewReader(b))
	intro := make([]byte, len(ageIntro))
	if _, err := io.ReadFull(r, intro); err != nil || string(intro) != ageIntro {
		return false
	}
	_, err := io.Copy(io.Discard, r)
	return err == nil
}

func inspect(sealed []byte) (Format, *Error) {
	if len(trimBlanks(sealed)) == 0 {
		return "", &Error{EmptyFile, blankDetail(sealed), nil}
	}
	if IsBinary(sealed) {
		return Age, nil
	}
	if filter := FilteredBy(sealed); filter != "" {
		return "", &Error{Filtered, filter, nil}
	}
	if line := markerLine(sealed); line > 0 {
		return "", &Error{MergeMarkers, markerDetail(line), nil}
	}
	if looksArmored(sealed) {
		return inspectArmor(sealed)
	}
	return inspectToken(sealed)
}

// FilteredBy tells the bytes that filters of git's leave in a file's place, by how
// each begins (git-lfs' docs/spec.md, git-crypt's crypto.hpp); "" for any others.
func FilteredBy(content []byte) string {
	for _, pointer := range [...]string{"version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/", "version http://git-media.io/v/"} {
		if bytes.HasPrefix(content, []byte(pointer)) {
			return "a pointer of Git LFS stands in its place"
		}
	}
	if bytes.HasPrefix(content, []byte("\x00GITCRYPT\x00")) {
		return "git-crypt encrypted it"
	}
	return ""
}

// looksArmored is generous: it also takes an armor that lost one end or had a
// byte changed, so that the error can say so.
func looksArmored(sealed []byte) bool {
	body := trimBlanks(sealed)
	head := body[:min(len(body), 2*len(armor.Header))]
	return bytes.Contains(head, []byte("AGE ENCRYPTED FILE")) ||
		bytes.HasPrefix([]byte(armor.Header), body) ||
		nearlyBegins(sealed, armor.Header) ||
		bytes.HasSuffix(body, []byte(armor.Footer))
}

func inspectArmor(sealed []byte) (Format, *Error) {
	if !nearlyBegins(sealed, armor.Header) {
		return "", &Error{Truncated, "the BEGIN line of the age file is missing or damaged", nil}
	}
	if !bytes.Contains(sealed, []byte(armor.Footer)) && !nearlyEnds(sealed, armor.Footer) {
		return "", &Error{Truncated, "the END line of the age file is missing", nil}
	}
	return Age, nil
}

// inspectToken tells a Fernet token from a cut one and from anything else. It is
// only asked about bytes that do not open, so it may guess: a changed byte keeps
// the length of the file, a cut rarely leaves one that a token can have.
func inspectToken(sealed []byte) (Format, *Error) {
	payload, err := decodeBase64(sealed)
	if err == nil && isFernetPayload(payload) {
		return Fernet, nil
	}
	body := bytes.Trim(trimBlanks(dropNUL(sealed)), `"'`)
	if !looksLikeToken(body) {
		return "", &Error{NotSealed, notSealedDetail(body), nil}
	}
	var blanks, strays int
	for _, c := range body {
		switch {
		case isBlank(c):
			blanks++
		case c != '=' && sextet(c) == noSextet:
			strays++
		}
	}
	pads := bytes.Count(body[max(0, len(body)-2):], []byte("="))
	if strays > 0 || isTokenLength(len(sealed), pads) || isTokenLength(len(body), pads) || isTokenLength(len(body)-blanks, pads) {
		return Fernet, nil
	}
	detail := "its length fits no Fernet token, bytes are missing or added"
	switch {
	case len(body)-blanks < base64.URLEncoding.EncodedLen(fernetOverhead+1):
		detail = "too short for a Fernet token"
	case err != nil && pads == 0:
		detail = "no base64 padding, the end is missing"
	}
	return "", &Error{Truncated, detail, nil}
}

// tokenHead begins every token until the year 2106: the version, and the upper
// half of the time.
const tokenHead = "gAAAAA"

// looksLikeToken allows one byte of the head to be changed, lost or doubled, and
// a few bytes further on that are not base64.
func looksLikeToken(body []byte) bool {
	head := body[:min(len(body), len(tokenHead)+2)]
	if len(body) < len(tokenHead) {
		return len(body) > 0 && bytes.HasPrefix([]byte(tokenHead), body)
	}
	if !bytes.Contains(head, []byte(tokenHead[1:])) && !nearly(head[:len(tokenHead)], tokenHead) {
		return false
	}
	strays := 0
	for _, c := range body {
		if c != '=' && sextet(c) == noSextet && !isBlank(c) {
			strays++
		}
	}
	return strays*8 <= len(body)
}

// isTokenLength reports whether n characters, pads of the last two padding, can
// be a token in which at most one of the padding characters was changed.
func isTokenLength(n, pads int) bool {
	if n%4 != 0 {
		return false
	}
	for want := range 3 {
		if isFernetLength(n/4*3-want) && want-pads <= 1 {
			return true
		}
	}
	return false
}

// markerLine returns the number of the first line that git writes around a
// conflict, or 0.
func markerLine(b []byte) int {
	number := 0
	for line := range bytes.Lines(trimBOM(b)) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) < 7 {
			continue
		}
		mark, rest := string(line[:7]), line[7:]
		switch mark {
		case "<<<<<<<", "|||||||", ">>>>>>>":
			if len(rest) == 0 || rest[0] == ' ' {
				return number
			}
		case "=======":
			if len(rest) == 0 {
				return number
			}
		}
	}
	return 0
}

func markerDetail(line int) string {
	return fmt.Sprintf("merge markers at line %d, of a conflict in git", line)
}

func notSealedDetail(body []byte) string {
	// Quotes alone leave no body.
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		return "it is JSON"
	}
	strays := false
	for _, c := range body {
		switch {
		case c < ' ' && !isBlank(c):
			return "it is neither a Fernet token nor an age file"
		case c != '=' && sextet(c) == noSextet && !isBlank(c):
			strays = true
		}
	}
	if strays || bytes.ContainsAny(body, " \n") {
		return "it is plain text"
	}
	return "it is one word, but no Fernet token"
}

func malformedKeyDetail(file, raw []byte, decodeErr error) string {
	body := bytes.Trim(trimBlanks(file), `"'`)
	has := func(prefix string) bool { return bytes.HasPrefix(body, []byte(prefix)) }
	if line := markerLine(file); line > 0 {
		return markerDetail(line)
	}
	switch {
	case has(armor.Header), has(ageIntro):
		return "it is a sealed age file, not a key"
	case has("-----BEGIN "):
		return "it is a PEM block, not a formation's key"
	case has("age1"):
		return "it is an age recipient, not the identity"
	case has(tokenHead):
		return "it is a Fernet token, not a key"
	case decodeErr != nil:
		return "neither a Fernet key (44 characters, the last one '=') nor an age identity"
	}
	return fmt.Sprintf("it decodes to %d bytes, a Fernet key has %d", len(raw), len(fernetKey{}))
}

func blankDetail(b []byte) string {
	if len(b) == 0 {
		return "it has no bytes"
	}
	return "it holds nothing but blanks"
}

// nearlyBegins reports whether the first bytes of b are want with at most one
// byte changed. That byte may have become a blank, so blanks are looked at both
// as part of the line and as something before it.
func nearlyBegins(b []byte, want string) bool {
	for _, b := range [...][]byte{b, trimBlanks(b)} {
		if len(b) >= len(want) && nearly(b[:len(want)], want) {
			return true
		}
	}
	return false
}

// nearlyEnds is nearlyBegins for the last bytes.
func nearlyEnds(b []byte, want string) bool {
	for _, b := range [...][]byte{b, bytes.TrimSuffix(b, []byte("\n")), bytes.TrimSuffix(b, []byte("\r\n")), trimBlanks(b)} {
		if len(b) >= len(want) && nearly(b[len(b)-len(want):], want) {
			return true
		}
	}
	return false
}

// nearly reports whether b is want with at most one byte changed.
func nearly(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	changed := 0
	for i := range b {
		if b[i] != want[i] {
			changed++
		}
	}
	return changed <= 1
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trimBlanks takes off what an editor or a crashed file system puts around
// content: a byte order mark, blanks, zero bytes.
func trimBlanks(b []byte) []byte {
	return bytes.Trim(trimBOM(b), " \t\r\n\x00")
}

func trimBOM(b []byte) []byte {
	for _, bom := range [...]string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if rest, ok := bytes.CutPrefix(b, []byte(bom)); ok {
			return rest
		}
	}
	return b
}

// dropNUL makes UTF-16 of ASCII readable, which some shells write on redirection
// and Python's decoder reads through.
func dropNUL(b []byte) []byte {
	if bytes.IndexByte(b, 0) < 0 {
		return b
	}
	return bytes.ReplaceAll(b, []byte{0}, nil)
}
