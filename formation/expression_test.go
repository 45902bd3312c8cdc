package formation

import (
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

func TestExpressions(t *testing.T) {
	for _, test := range [...]struct {
		text     string
		whole    string // what the expressions span, joined by |
		names    string // as spelled, joined by blanks; a ! behind one that is exact
		fallback string
		optional bool
		bad      bool // malformed
	}{
		{text: "${{ secrets.A }}", whole: "${{ secrets.A }}", names: "A!"},
		{text: "${{secrets.A}}", whole: "${{secrets.A}}", names: "A!"},
		{text: "Bearer ${{ secrets.TOKEN }}!", whole: "${{ secrets.TOKEN }}", names: "TOKEN!"},
		{text: "${{\n\tsecrets.A_1\r\n}}", whole: "${{\n\tsecrets.A_1\r\n}}", names: "A_1!"},
		{text: "${{\u00a0secrets.A\u2003}}", whole: "${{\u00a0secrets.A\u2003}}", names: "A!"},
		{text: "${{ secrets.a }}", whole: "${{ secrets.a }}", names: "a"},
		{text: "${{ SECRETS.A }}", whole: "${{ SECRETS.A }}", names: "A"},
		{text: "${{ Secrets.a_B }}", whole: "${{ Secrets.a_B }}", names: "a_B"},
		{text: "${{ user.credentials.git-hub }}", whole: "${{ user.credentials.git-hub }}", names: "git-hub!"},
		{text: "${{ secrets.A }}${{ secrets.B }}", whole: "${{ secrets.A }}|${{ secrets.B }}", names: "A! B!"},
		{text: "${${{ secrets.A }}}", whole: "${{ secrets.A }}", names: "A!"},

		{text: "${{ secrets.A || '' }}", whole: "${{ secrets.A || '' }}", names: "A!", optional: true},
		{text: `${{ secrets.A||"" }}`, whole: `${{ secrets.A||"" }}`, names: "A!", optional: true},
		{text: "${{ secrets.A || 'it''s }} so' }}", whole: "${{ secrets.A || 'it''s }} so' }}", names: "A!", optional: true, fallback: "it's }} so"},
		{text: "${{ secrets.A || 8080 }}", whole: "${{ secrets.A || 8080 }}", names: "A!", optional: true, fallback: "8080"},
		{text: "${{ secrets.A || secrets.B }}", whole: "${{ secrets.A || secrets.B }}", names: "A! B!", optional: true},
		{text: "${{ secrets.A || user.credentials.b || 'c' }}", whole: "${{ secrets.A || user.credentials.b || 'c' }}", names: "A! b!", optional: true, fallback: "c"},
		{text: "${{ secrets.A || 'b' c }}", whole: "${{ secrets.A || 'b' c }}", names: "A!", optional: true, fallback: "'b' c"},

		{text: "${{ secret.A }}", whole: "${{ secret.A }}", bad: true},
		{text: "${{ user.credential.a }}", whole: "${{ user.credential.a }}", bad: true},
		{text: "${{ secrets }}", whole: "${{ secrets }}", bad: true},
		{text: "${{ secrets. }}", whole: "${{ secrets. }}", bad: true},
		{text: "${{ secrets.A-B }}", whole: "${{ secrets.A-B }}", bad: true},
		{text: "${{ secrets.A B }}", whole: "${{ secrets.A B }}", bad: true},
		{text: "${{ secrets.A.B }}", whole: "${{ secrets.A.B }}", bad: true},
		{text: "${{ secrets['A'] }}", whole: "${{ secrets['A'] }}", bad: true},

		// nobody's secrets
		{text: ""},
		{text: "${{ data.A }} ${{ context.a }} ${{ response.x }} ${{ ui.y }} ${{ env.Z }} ${{ inputs.q }}"},
		{text: "${HOME} $HOME {{ secrets.A }} ${ secrets.A } $ {{ secrets.A }}"},
		{text: "${{ mysecrets.A }} ${{ secretsX.A }} ${{ secrets_.A }}"},
		{text: "${{ secrets.A }"},
		{text: "${{ secrets.A"},
		{text: "${{"},

		// one that is left open hides nothing behind it
		{text: "${{ secrets.A ${{ secrets.B }}", whole: "${{ secrets.B }}", names: "B!"},
		{text: "${{ secret.A ${{ secrets.B }}", whole: "${{ secrets.B }}", names: "B!"},
		{text: "`${{ secrets.NAME` is ${{ secrets.B }}", whole: "${{ secrets.B }}", names: "B!"},
		{text: "${{ ${{ secrets.B }}", whole: "${{ secrets.B }}", names: "B!"},
		{text: "${{ secrets.A || 'x ${{ secrets.B }}", whole: "${{ secrets.B }}", names: "B!"},
		{text: "${{ secrets.A || '${{ secrets.B }}' }}", whole: "${{ secrets.B }}", names: "B!"},
	} {
		var whole, names []string
		for _, e := range expressions(test.text) {
			whole = append(whole, test.text[e.start:e.end])
			for _, term := range e.terms {
				name := test.text[term.start:term.end]
				if term.exact {
					name += "!"
				}
				names = append(names, name)
			}
			if e.optional != test.optional || e.fallback != test.fallback || (e.malformed != "") != test.bad {
				t.Errorf("%q: optional %t, fallback %q, malformed %q", test.text, e.optional, e.fallback, e.malformed)
			}
			if e.malformed != "" && len(e.terms) > 0 {
				t.Errorf("%q: malformed, with names", test.text)
			}
		}
		if got := strings.Join(whole, "|"); got != test.whole {
			t.Errorf("%q: spans %q, want %q", test.text, got, test.whole)
		}
		if got := strings.Join(names, " "); got != test.names {
			t.Errorf("%q: names %q, want %q", test.text, got, test.names)
		}
	}
}

// The runtime's own pattern, in the runtime's own language, around every code
// point: what is white space, what a name is made of.
func TestExpressionsAgreeWithPython(t *testing.T) {
	python := cryptotest.Python(t)
	var texts []string
	for r := rune(0); r < 0x3100; r++ {
		s := string(r)
		texts = append(texts, "${{"+s+"secrets.A }}", "${{ secrets.A"+s+"}}", "${{ secrets"+s+"A }}", "$"+s+"{{ secrets.A }}")
	}
	var want []string
	python.Run(t, `
import re
live = re.compile(r'\$\{\{\s*secrets\.([A-Z0-9_]+)\s*\}\}')
response = [' '.join(live.findall(s)) for s in request]
`, texts, &want)
	for i, text := range texts {
		var live []string
		for _, e := range expressions(text) {
			for _, term := range e.terms {
				if term.exact && !term.user && !e.optional {
					live = append(live, text[term.start:term.end])
				}
			}
		}
		if got := strings.Join(live, " "); got != want[i] {
			t.Errorf("%+q: %q, python %q", text, got, want[i])
		}
	}
}

func FuzzExpressions(f *testing.F) {
	for _, seed := range [...]string{"${{ secrets.A }}", "${{ secrets.A || 'b' }}", "${{ secret.A ${{user.credentials.x}}", "${{\u2003secrets.A||\"", "${{ secrets.\xff }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		for _, e := range expressions(text) {
			if e.start < at || e.end <= e.start || !strings.HasPrefix(text[e.start:], "${{") || !strings.HasSuffix(text[:e.end], "}}") {
				t.Fatalf("%q: an expression at %d to %d, behind %d", text, e.start, e.end, at)
			}
			if strings.Contains(text[e.start+1:e.end], "${{") {
				t.Fatalf("%q: an expression hides another", text)
			}
			if (e.malformed == "") != (len(e.terms) > 0) {
				t.Fatalf("%q: %d names, malformed %q", text, len(e.terms), e.malformed)
			}
			at = e.start
			for _, term := range e.terms {
				if term.start < at || term.end <= term.start || term.end > e.end {
					t.Fatalf("%q: a name at %d to %d", text, term.start, term.end)
				}
				at = term.end
			}
			at = e.end
		}
	})
}
