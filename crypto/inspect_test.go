package crypto

import (
	"fmt"
	"strings"
	"testing"
)

func TestOpenErrors(t *testing.T) {
	fernet, age := mustGenerate(t, Fernet), mustGenerate(t, Age)
	plaintext := []byte(`{"A": "a value, long enough for a few blocks, two of them =="}`)
	token := string(mustSeal(t, fernet, plaintext))
	armored := string(mustSeal(t, age, plaintext))
	if at := Beside([]byte(strings.Replace(armored, "FILE", "FILF", 1))); at != 0 {
		t.Error("a BEGIN line that is none is not seen")
	}
	lines := strings.SplitAfter(armored, "\n")
	conflict := func(a, b string) string {
		return "<<<<<<< HEAD\n" + a + "\n=======\n" + b + "\n>>>>>>> theirs\n"
	}
	for name, tc := range map[string]struct {
		key    *Key
		sealed string
		reason Reason
		detail string
	}{
		"no bytes":             {fernet, "", EmptyFile, "no bytes"},
		"blanks":               {fernet, " \r\n\t", EmptyFile, "blanks"},
		"zero bytes":           {fernet, strings.Repeat("\x00", 64), EmptyFile, "blanks"},
		"no bytes, age":        {age, "", EmptyFile, "no bytes"},
		"other key":            {mustGenerate(t, Fernet), token, WrongKey, "or a damaged file"},
		"other key, age":       {mustGenerate(t, Age), armored, WrongKey, "or a damaged file"},
		"age key for a token":  {age, token, WrongKey, "sealed with fernet, the key is for age"},
		"fernet key for age":   {fernet, armored, WrongKey, "sealed with age, the key is for fernet"},
		"flipped":              {fernet, token[:40] + nextChar(token[40]) + token[41:], WrongKey, "or a damaged file"},
		"flipped out of range": {fernet, token[:40] + "!" + token[41:], WrongKey, "or a damaged file"},
		"a byte to a blank":    {fernet, token[:40] + " " + token[41:], WrongKey, "or a damaged file"},
		"the last, too":        {fernet, token[:len(token)-1] + "\n", WrongKey, "or a damaged file"},
		"wrapped, flipped":     {fernet, token[:40] + nextChar(token[40]) + "\n" + token[41:], WrongKey, "or a damaged file"},
		"first byte":           {fernet, "G" + token[1:], WrongKey, "or a damaged file"},
		"flipped, age":         {age, strings.Replace(armored, lines[3], strings.ToLower(lines[3]), 1), WrongKey, "or a damaged file"},
		"BEGIN flipped":        {age, strings.Replace(armored, "BEGIN", "BEGHN", 1), WrongKey, "or a damaged file"},
		"END flipped":          {age, strings.Replace(armored, "END ", "EMD ", 1), WrongKey, "or a damaged file"},
		"half":                 {fernet, token[:len(token)/2+1], Truncated, "padding"},
		"no padding":           {fernet, strings.TrimRight(token, "=") + "\n", Truncated, "padding"},
		"one byte less":        {fernet, token[:len(token)-1], Truncated, ""},
		"first byte lost":      {fernet, token[1:], Truncated, ""},
		"byte doubled":         {fernet, token[:50] + token[49:], Truncated, ""},
		"short":                {fernet, token[:20], Truncated, "short"},
		"two bytes":            {fernet, token[:2], Truncated, "short"},
		"cut, age":             {age, armored[:len(armored)/2], Truncated, "END"},
		"cut in END":           {age, armored[:len(armored)-10], Truncated, "END"},
		"no BEGIN":             {age, strings.Join(lines[1:], ""), Truncated, "BEGIN"},
		"binary age, cut":      {age, ageIntro + "-> X25519 abc\n", Truncated, "end"},
		"conflict":             {fernet, conflict(token, token), MergeMarkers, "line 1"},
		"conflict, CRLF":       {fernet, strings.ReplaceAll(conflict(token, token), "\n", "\r\n"), MergeMarkers, "line 1"},
		"half resolved":        {fernet, "x\n=======\n" + token, MergeMarkers, "line 2"},
		"conflict, age":        {age, conflict(armored, armored), MergeMarkers, "line 1"},
		"conflict inside age":  {age, lines[0] + conflict(lines[1], lines[2]) + strings.Join(lines[3:], ""), MergeMarkers, "line 2"},
		"JSON":                 {fernet, "{\n  \"A\": \"b\"\n}", NotSealed, "JSON"},
		"LFS pointer":          {fernet, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 164\n", Filtered, "Git LFS"},
		"git-crypt":            {fernet, "\x00GITCRYPT\x00\x01\x02" + token, Filtered, "git-crypt"},
		"JSON, age":            {age, "\ufeff{}", NotSealed, "JSON"},
		"YAML":                 {fernet, "A: b\nC: d\n", NotSealed, "text"},
		"template":             {fernet, "A=\nB=\n", NotSealed, "text"},
		"text like a token":    {fernet, "gAll my keys are here: " + strings.Repeat("and here ", 20), NotSealed, "text"},
		"a key":                {fernet, string(fernet.File()), NotSealed, "one word"},
		"an age key":           {fernet, string(age.File()), NotSealed, "one word"},
		"quotes":               {fernet, `""`, NotSealed, "one word"},
		"binary":               {fernet, "\x7fELF\x01\x02", NotSealed, "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.key.Open([]byte(tc.sealed))
			if got != nil || ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), tc.detail) {
				t.Errorf("%v, want %q with %q", err, tc.reason, tc.detail)
			}
			format, err := Detect([]byte(tc.sealed))
			switch {
			case tc.reason == WrongKey || strings.HasPrefix(tc.sealed, ageIntro):
				// Only a key shows what is wrong there.
				if err != nil || format == "" {
					t.Errorf("Detect: %q, %v", format, err)
				}
			case ReasonOf(err) != tc.reason || format != "":
				t.Errorf("Detect: %q, %v, want %q", format, err, tc.reason)
			}
		})
	}
}

// Exit codes depend on the reason: a changed byte is never called truncated, and
// a cut is only called anything else where no length gives it away.
func TestReasonOfEveryFlipAndCut(t *testing.T) {
	for _, f := range []Format{Fernet, Age} {
		k := mustGenerate(t, f)
		for _, size := range []int{0, 16, 40} { // all three paddings
			sealed := mustSeal(t, k, make([]byte, size))
			for i := range sealed {
				for _, mask := range []byte{0x01, 0x02, 0x10, 0x20, 0x40, 0x80, 0xff} {
					flipped := append([]byte(nil), sealed...)
					flipped[i] ^= mask
					if _, err := k.Open(flipped); err != nil && ReasonOf(err) != WrongKey {
						t.Errorf("%s, size %d: byte %d ^ %#x: %v", f, size, i, mask, err)
					}
				}
			}
			untold := 0
			for i := 1; i < len(sealed)-1; i++ {
				_, err := k.Open(sealed[:i])
				if r := ReasonOf(err); r == WrongKey && f == Fernet {
					untold++
				} else if r != Truncated {
					t.Errorf("%s, size %d: cut at %d: %v", f, size, i, err)
				}
			}
			if untold > 5 {
				t.Errorf("%s, size %d: %d cuts pass for a wrong key", f, size, untold)
			}
		}
	}
}

func TestBeside(t *testing.T) {
	for _, format := range []Format{Fernet, Age} {
		sealed := string(mustSeal(t, mustGenerate(t, format), []byte("some text to seal")))
		for _, whole := range []string{sealed, sealed + "\n", sealed + " \r\n\t\n", "\ufeff" + sealed, "\n " + sealed, strings.ReplaceAll(sealed, "\n", "\r\n")} {
			if at := Beside([]byte(whole)); at != -1 {
				t.Errorf("%s: a sealed file of %d bytes has something at %d", format, len(whole), at)
			}
			for _, more := range []string{"x", "\nA=hunter2", "\n# hunter2", " =", "\n\n\u00a0", "\x00", "\n" + sealed} {
				both := whole + more
				at := Beside([]byte(both))
				if want := len(both) - len(strings.TrimLeft(more, " \n")); at != want && !(format == Fernet && at == -1 && strings.HasPrefix(more, "x")) {
					t.Errorf("%s: %q behind %d bytes is seen at %d", format, more, len(whole), at)
				}
			}
			if at := Beside([]byte("note: " + whole)); at < 0 {
				t.Errorf("%s: words before the seal are not seen", format)
			}
		}
	}
	token := string(mustSeal(t, mustGenerate(t, Fernet), []byte("x")))
	if at := Beside(binaryOf(t, mustSeal(t, mustGenerate(t, Age), []byte("x")))); at != -1 {
		t.Errorf("an age file in binary has something at %d", at)
	}
	if at := Beside([]byte(token[:20] + "\n" + token[20:])); at != -1 {
		t.Errorf("a token that an editor wrapped has something at %d", at)
	}
	if at := Beside([]byte(token[:20] + "пароль" + token[20:])); at != 20 {
		t.Errorf("letters that readers skip are seen at %d, not 20", at)
	}
	armored := string(mustSeal(t, mustGenerate(t, Age), []byte("x")))
	if at := Beside([]byte(strings.Replace(armored, "FILE", "FILF", 1))); at != 0 {
		t.Error("a BEGIN line that is none is not seen")
	}
	lines := strings.SplitAfter(armored, "\n")
	for i := range lines[:len(lines)-1] {
		with := strings.Join(lines[:i], "") + "a note\n" + strings.Join(lines[i:], "")
		if _, err := Detect([]byte(with)); err == nil && Beside([]byte(with)) < 0 {
			t.Errorf("a note in line %d of an armored file is not seen", i+1)
		}
	}
}
