package formation

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

// Where nobody wrote anything by hand the bytes are the runtime's: every name,
// sorted, one newline at the end.
func TestTemplateIsTheRuntimes(t *testing.T) {
	python := cryptotest.Python(t)
	sets := [][]string{
		{"A"}, {"B", "A"}, {"A_B", "AB", "A", "A1", "A_"}, {"Z", "M", "A", "M"}, {"OPENAI_API_KEY", "USER_CREDENTIALS_X", "1"},
	}
	var want []string
	python.Run(t, "response = ['\\n'.join(n + '=' for n in sorted(set(names))) + '\\n' for names in request]", sets, &want)
	for i, names := range sets {
		if got := string(ParseTemplate(nil).With(names)); got != want[i] {
			t.Errorf("%q, python %q", got, want[i])
		}
		shuffled := "B=\nZ=\nA=\n" // an older one, as the muxi CLI writes it: in any order
		if got := string(ParseTemplate([]byte(shuffled)).With(names)); got != want[i] {
			t.Errorf("from an older one: %q, python %q", got, want[i])
		}
	}
}

func TestTemplateWith(t *testing.T) {
	for _, test := range [...]struct{ about, before, names, after string }{
		{"nothing", "", "", ""},
		{"no name left", "# a comment\nA=\n", "", ""},
		{"current", "A=\nB=\n", "A B", "A=\nB=\n"},
		{"added", "A=\nC=\n", "A B C", "A=\nB=\nC=\n"},
		{"dropped", "A=\nB=\n", "B", "B=\n"},
		{"sorted", "B=\nA=\n", "A B", "A=\nB=\n"},
		{"twice", "A=\nA=sk-...\n", "A", "A=\n"},
		{"no newline at the end", "A=", "A", "A=\n"},
		{"blank lines at the end", "A=\n\n\n", "A", "A=\n"},
		{"a blank line, left at the end", "A=\n\nB=\n", "A", "A=\n"},
		{"names to be normalised", "openai-key=\n b = \n", "OPENAI_KEY B", "B=\nOPENAI_KEY=\n"},
		{"CRLF", "A=\r\nB=sk-...\r\n", "A B C", "A=\r\nB=sk-...\r\nC=\r\n"},
		{"CRLF with comments", "# c\r\nB=\r\n", "A B", "# c\r\nA=\r\nB=\r\n"},
		{"BOM", "\ufeffA=\n", "A", "A=\n"},

		{"placeholder", "A=sk-...\nB=your-key-here\nC=<token>\nD=xxx\n", "A B C D", "A=sk-...\nB=your-key-here\nC=<token>\nD=xxx\n"},
		{"placeholder in quotes", "A=\"sk-...\"\nB=''\n", "A B", "A=\"sk-...\"\nB=''\n"},
		{"placeholder with a comment", "A=sk-... # from example.com\nB= # later\n", "A B", "A=sk-... # from example.com\nB=# later\n"},
		{"placeholder with = inside", "A=<a=b>\n", "A", "A=<a=b>\n"},
		{"a value", "A=hunter2-hunter2\nB=sk-...\n", "A B", "A=\nB=sk-...\n"},
		{"a value in quotes", "A=\"hunter2-hunter2\"\n", "A", "A=\n"},
		{"a value with a comment", "A=hunter2-hunter2 # sk-...\n", "A", "A=\n"},
		{"a value that starts with #", "A=#hunter2\n", "A", "A=\n"},

		{"comments stay", "# top\n\n# about B\nB=sk-...\n\n# about A\nA=\n# end\n", "A B", "# top\n\n# about B\nB=sk-...\n\n# about A\nA=\n# end\n"},
		{"added behind its neighbour", "# top\n\n# about A\nA=\n\n# about C\nC=\n", "A B C", "# top\n\n# about A\nA=\nB=\n\n# about C\nC=\n"},
		{"added at the end", "# top\nA=\n", "A B", "# top\nA=\nB=\n"},
		{"added on top, below the file's comment", "# top\n\n# about B\nB=\n", "A B", "# top\n\nA=\n# about B\nB=\n"},
		{"added below a comment that opens the file", "# top\nB=\n", "A B", "# top\nA=\nB=\n"},
		{"added where only comments are", "# top\n", "B A", "# top\nA=\nB=\n"},
		{"several added", "# top\nM=\n", "A B M X Y", "# top\nA=\nB=\nM=\nX=\nY=\n"},
		{"indented comment", "  # c\nA=\n", "A", "  # c\nA=\n"},
	} {
		got := ParseTemplate([]byte(test.before)).With(strings.Fields(test.names))
		if string(got) != test.after {
			t.Errorf("%s: got %q, want %q", test.about, got, test.after)
		}
		if (got == nil) != (test.names == "") {
			t.Errorf("%s: nil is %t", test.about, got == nil)
		}
	}
}

// The templates of the examples hold comments on every name: none of them moves.
func TestTemplateExamples(t *testing.T) {
	paths, err := filepath.Glob("../testdata/formations/*/secrets")
	if err != nil || len(paths) != 5 {
		t.Fatalf("%d templates, %v", len(paths), err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		template := ParseTemplate(content)
		if values := template.Values(); len(values) > 0 {
			t.Errorf("%s: a value in line %d", path, values[0].Line)
		}
		if got := template.With(template.Names()); !bytes.Equal(got, content) {
			t.Errorf("%s: changed to\n%s", path, got)
		}
		more := template.With(append(template.Names(), "ZZZ", "AAA"))
		kept := strings.NewReplacer("ZZZ=\n", "", "AAA=\n", "").Replace(string(more))
		if kept != string(content) {
			t.Errorf("%s: two names more changed other lines:\n%s", path, more)
		}
	}
}

func TestTemplateNames(t *testing.T) {
	template := ParseTemplate([]byte("# X=\n\nB=\n a-key = v\nB=again\n=v\n--=v\nC\n"))
	if got := strings.Join(template.Names(), " "); got != "A_KEY B C" {
		t.Errorf("got %s", got)
	}
}

func TestTemplateValues(t *testing.T) {
	template := ParseTemplate([]byte("\ufeff# A=hunter2-hunter2\r\nA=hunter2-hunter2\r\nB=sk-...\r\n\r\nc-d = \"hunter2-hunter2\"\r\nE=\r\nF=x=y\r\nG='sk-...'\r\n"))
	var got []Value
	got = append(got, template.Values()...)
	if !slices.Equal(got, []Value{{"A", 2, 1}, {"C_D", 5, 1}, {"F", 7, 1}}) {
		t.Errorf("got %v", got)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range [...]string{
		"", "A=\nB=\n", "# c\r\nA=sk-...\r\n", "B=\nA=\n\nC=\n", "\ufeff\ufeff \nA=", "#x\r\r\nA=", "A = hunter2-hunter2 # ...\n", "\n\n \nA\n=\n",
	} {
		f.Add([]byte(seed), "A B")
		f.Add([]byte(seed), "")
	}
	f.Fuzz(func(t *testing.T, content []byte, spelled string) {
		template := ParseTemplate(content)
		var names []string
		for _, name := range strings.Fields(spelled) {
			if name = Normalize(name); name != "" {
				names = append(names, name)
			}
		}
		once := template.With(names)
		if again := ParseTemplate(once).With(names); !bytes.Equal(again, once) {
			t.Fatalf("%q, the second time %q", once, again)
		}
		if len(names) == 0 {
			if once != nil {
				t.Fatal("a template of no names")
			}
			return
		}
		sort.Strings(names)
		if got := ParseTemplate(once); !slices.Equal(got.Names(), slices.Compact(names)) || len(withNames(got)) > 0 {
			t.Fatalf("names %q and %d values for %q", got.Names(), len(withNames(got)), names)
		}
		if !bytes.HasSuffix(once, []byte("\n")) || bytes.HasSuffix(once, []byte("\n\n")) {
			t.Fatalf("not one newline at the end: %q", once)
		}
		if !bytes.Contains(content, []byte("#")) && !bytes.Contains(content, []byte("\n")) {
			return
		}
		// Every comment is still there, in its order.
		rest := string(once)
		for _, line := range template.lines {
			if strings.HasPrefix(line.text, "#") {
				at := strings.Index(rest, line.text)
				if at < 0 {
					t.Fatalf("a comment is gone from %q", once)
				}
				rest = rest[at+len(line.text):]
			}
		}
	})
}

// withNames are the values of a template that have a name.
func withNames(t *Template) []Value {
	return slices.DeleteFunc(t.Values(), func(v Value) bool { return v.Name == "" })
}

func TestTemplateBlocks(t *testing.T) {
	for _, c := range []struct {
		name, in string
		values   []Value
		typed    string // lines of it
	}{
		{"JSON", "J={\n  \"k\": \"a}b=c\"\n}\nK=\n", []Value{{"J", 1, 3}}, ""},
		{"JSON with quotes in it", "J={\n  \"k\": \"a\\\"}b\"\n}\nK=\n", []Value{{"J", 1, 3}}, ""},
		{"a list", "A=\nJ=[\n1,\n[2]]\n", []Value{{"J", 2, 3}}, ""},
		{"quotes", "P=\"a\nMIIx=\nb=\"\nK=\n", []Value{{"P", 1, 3}}, ""},
		{"a key block", "P=-----BEGIN PRIVATE KEY-----\nMIIx=\n-----END PRIVATE KEY-----\nK=hunter2\n", []Value{{"P", 1, 3}, {"K", 4, 1}}, "4"},
		{"closed on its line", "J={\"a\": 1}\nK=", []Value{{"J", 1, 1}}, "1"},
		{"a bracket that is a value", "J={hunter2\nK=", []Value{{"J", 1, 1}}, "1"},
		{"never closed", "J={\n  \"k\": \"v\"\nK=", []Value{{"J", 1, 1}, {"", 2, 1}}, ""},
		{"a text", "# c\n\nhunter2 hunter2\nK=\n", []Value{{"", 3, 1}}, ""},
		{"a quote that the next line opens", "A=\"x\nB=\"y\"\n", []Value{{"A", 1, 1}, {"B", 2, 1}}, "2"},
		{"export", "export OPENAI_API_KEY=\"hunter2-hunter2\"\n", []Value{{"OPENAI_API_KEY", 1, 1}}, "1"},
	} {
		for _, ending := range []string{"\n", "\r\n"} {
			in := strings.ReplaceAll(c.in, "\n", ending)
			template := ParseTemplate([]byte(in))
			if got := template.Values(); !slices.Equal(got, c.values) {
				t.Errorf("%s: values %v", c.name, got)
			}
			var typed []string
			for _, a := range template.Typed() {
				typed = append(typed, strconv.Itoa(a.Line))
			}
			if got := strings.Join(typed, " "); got != c.typed {
				t.Errorf("%s: typed %q", c.name, got)
			}
			template.keepTyped(nil)
			got := string(template.With(append(template.Names(), "NEW")))
			for _, v := range c.values {
				block := strings.Join(strings.Split(strings.TrimSuffix(in, ending), ending)[v.Line-1:v.Line-1+v.Lines], ending)
				if !strings.Contains(got, block) {
					t.Errorf("%s: a value was torn:\n%s", c.name, got)
				}
			}
		}
	}
}
