package formation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var editFormats = []EditFormat{EditDotenv, EditYAML}

// editValues are values that an editor, or a careless format, would change.
func editValues() []string {
	return append(nasty(),
		"plain", " blanks around ", "a # b", "it's", `"quoted"`, "`ticks`", "$HOME ${X} $(y) $'z'", `back\slash \n \\`, `\`, "'", `"`, "''", "=", "==", "a=b",
		"two\nlines", "a trailing newline\n", "two of them\n\n", "\nleading", "\n", "\n\n", "\t", "tab\tbed", "blank at an end \nof a line", "a\r\nb\r\nc", "a\rb", "\r", "\r\n",
		"bell\a escape\x1b nul\x00 del\x7f", "\u0085next\u2028line\u2029", "\ufeffbom", "\u202ebidi", "z\u200bero", "no\u00a0break", "ünï 🔑 \U000e0001", "e\u0301",
		"-----BEGIN KEY-----\nMIIB\n+/==\n-----END KEY-----\n", "  indented\n    more\n", "- a\n- b: c", "key: value", "{json: [1, 2]}", "*alias", "&anchor", "!tag", "| x", "> x", "%x", "@x",
		"null", "~", "true", "5432", "1e3", "0x1f", "2020-01-01", "encrypted:abc", "ENC[x]", "#x", "export A=b", "NAME=\"x", "x\\", "$", "$'", "'\\''", "<<<<<<< ours\n=======\n", "---\n...\n",
	)
}

// TestEditRoundTrip: what nobody touched is what it was, to the byte.
func TestEditRoundTrip(t *testing.T) {
	vault := NewVault()
	for i, value := range editValues() {
		vault.Set(fmt.Sprintf("NAME_%03d", i), value)
	}
	template := ParseTemplate([]byte("# above\nNAME_002=sk-...  # where it is from\n\n# \x1b[31mred\r\nNAME_001=\n"))
	for _, format := range editFormats {
		e := StartEditing(format, vault)
		if aside := e.Aside(); len(aside) > 0 {
			t.Errorf("%s: %v are not shown", format, aside)
		}
		text := e.Text([]string{"an introduction"}, template, map[string]string{"UNSET": "formation.afs:3"})
		list, err := e.Read(text)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if p := e.Plan(list, vault); !p.Empty() || len(p.Merged) > 0 {
			t.Errorf("%s: changed without a change: %v %v %v", format, p.Added, p.Changed, p.Deleted)
		}
		for _, a := range list {
			if value, _, _ := vault.Get(a.Name); value != a.Value {
				t.Errorf("%s: %s comes back as another value", format, a.Name)
			}
		}
		for _, want := range []string{"# an introduction\n", "# above\n", "# NAME_002=sk-...  # where it is from\n", "# formation.afs:3\nUNSET"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: no %q", format, want)
			}
		}
		for _, r := range string(text) {
			if r < ' ' && r != '\n' && r != '\t' {
				t.Errorf("%s: a control character %q in the text", format, r)
			}
		}
	}
}

// TestEditAside: what a format cannot show stays as it is.
func TestEditAside(t *testing.T) {
	vault, err := DecodeVault([]byte(`{"A": "x", "NUMBER": 5, "has=sign": "y", "two\nlines": "z", "---": "w", "old-name": "v", "EMPTY": ""}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range editFormats {
		e := StartEditing(format, vault)
		want := "[--- NUMBER has=sign two\nlines]"
		if format == EditYAML {
			want = "[--- NUMBER]"
		}
		if got := fmt.Sprint(e.Aside()); got != want {
			t.Errorf("%s: aside are %q", format, got)
		}
		list, err := e.Read(e.Text(nil, ParseTemplate(nil), nil))
		if err != nil {
			t.Fatal(err)
		}
		if p := e.Plan(list, vault); !p.Empty() {
			t.Errorf("%s: %+v", format, p)
		}
		list, err = e.Read(nil)
		if err != nil {
			t.Fatal(err)
		}
		if p := e.Plan(list, vault); slices.Contains(p.Deleted, "NUMBER") || !slices.Contains(p.Deleted, "old-name") || !slices.Contains(p.Deleted, "EMPTY") {
			t.Errorf("%s: %v are deleted", format, p.Deleted)
		}
	}
}

func TestEditRead(t *testing.T) {
	vault := NewVault()
	vault.Set("OLD", "value")
	vault.Set("SAME", "same")
	for _, c := range []struct {
		format EditFormat
		text   string
		want   string // the plan, or the error
	}{
		{EditDotenv, "OLD=value\nSAME=same\n", "[] [] []"},
		{EditDotenv, "OLD=other\nNEW=x\n", "[NEW] [OLD] [SAME]"},
		{EditDotenv, "export old = 'value' # c\r\nSAME=\"same\"\r\nFRESH=\r\n", "[] [] []"},
		{EditDotenv, "\ufeffOLD=$'va\\x6cue'\nSAME=$'s\\u0061me'\n", "[] [] []"},
		{EditDotenv, "SAME=same\nOLD=$'a\nb'\n", "[] [OLD] []"},
		{EditDotenv, "SAME=same\n\nOLD\n", "line 3: it has no '='"},
		{EditDotenv, "SAME=same\nOLD='x\n\n", "line 2: its quote is never closed"},
		{EditDotenv, "SAME=same\nOLD=$'x\n\n", "line 2: its quote is never closed"},
		{EditDotenv, `OLD=$'\q'`, `line 1: it has a \ that means nothing in $'...': write it \\`},
		{EditDotenv, `OLD=$'\xff'`, `line 1: it has a \ that means nothing in $'...': write it \\`},
		{EditDotenv, `OLD=$'\ud800'`, `line 1: it has a \ that means nothing in $'...': write it \\`},
		{EditDotenv, `OLD=$'\`, "line 1: its quote is never closed"},
		{EditDotenv, "OLD=\nSAME=same\n", "line 1: OLD has no value any more; to delete it, take the line out"},
		{EditDotenv, "OLD=''\nSAME=same\n", "line 1: OLD has no value any more; to delete it, take the line out"},
		{EditDotenv, "A=1\nOLD=2\na=1\n", "line 3: A is there already, in line 1"},
		{EditDotenv, "OLD=\xff\n", "line 1: it is not UTF-8 text"},
		{EditDotenv, "{\"OLD\": \"x\"}\n", "line 1: it has no '='"},
		{EditYAML, "OLD: value\nSAME: same\n", "[] [] []"},
		{EditYAML, "# only a comment\n", "[] [] [OLD SAME]"},
		{EditYAML, "---\n# only a comment\n", "[] [] [OLD SAME]"},
		{EditYAML, "old: \"other\"\nNEW: 5\nFLAG: true\nUNSET:\n", "[FLAG NEW] [OLD] [SAME]"},
		{EditYAML, "OLD: |\n  a\n  b\nSAME: >-\n  same\n", "[] [OLD] []"},
		{EditYAML, "OLD:\n", "line 1: OLD has no value any more; to delete it, take the line out"},
		{EditYAML, "A: 1\na: 2\n", "line 2: A is there already, in line 1"},
		{EditYAML, "A:\n  b: c\n", "line 2: the value of A is no text: write it in quotes"},
		{EditYAML, "A: [1]\n", "line 1: the value of A is no text: write it in quotes"},
		{EditYAML, "A: &x 1\nB: *x\n", "line 2: it is a reference to another value: write the value in quotes"},
		{EditYAML, "- A\n", "line 1: it is no list of NAME: VALUE lines"},
		{EditYAML, "A: 1\n---\nB: 2\n", "line 2: a second document begins there"},
		{EditYAML, "?: 1\n", "line 1: its name has no letter or digit"},
	} {
		e := StartEditing(c.format, vault)
		list, err := e.Read([]byte(c.text))
		got := fmt.Sprint(err)
		if err == nil {
			p := e.Plan(list, vault)
			got = fmt.Sprint(p.Added, " ", p.Changed, " ", p.Deleted)
			got = strings.ReplaceAll(got, "]  [", "] [")
		}
		if got != c.want {
			t.Errorf("%s %q: %s, want %s", c.format, c.text, got, c.want)
		}
	}
	if _, err := StartEditing(EditYAML, vault).Read([]byte("A: 'x\nB: *strange\n")); err == nil || strings.Contains(err.Error(), "strange") {
		t.Errorf("broken YAML: %v", err)
	}
}

// TestEditMerges: three-way, by name, with what another writer did meanwhile.
func TestEditMerges(t *testing.T) {
	vault := NewVault()
	for _, name := range []string{"MINE", "THEIRS", "BOTH", "AGREED", "GONE", "DROPPED", "KEPT"} {
		vault.Set(name, "old")
	}
	e := StartEditing(EditDotenv, vault)
	list, err := e.Read([]byte("MINE=new\nTHEIRS=old\nBOTH=mine\nAGREED=same\nGONE=mine\nKEPT=old\nFRESH=mine\n"))
	if err != nil {
		t.Fatal(err)
	}

	now := NewVault()
	for name, value := range map[string]string{"MINE": "old", "THEIRS": "new", "BOTH": "theirs", "AGREED": "same", "DROPPED": "theirs", "ADDED": "x", "FRESH": "theirs"} {
		now.Set(name, value)
	}
	p := e.Plan(list, now)
	got := fmt.Sprint("set ", p.Added, p.Changed, " deleted ", p.Deleted, " conflicts ", p.Conflicts, " merged ", p.Merged)
	if want := "set [] [MINE] deleted [] conflicts [BOTH DROPPED FRESH GONE] merged [ADDED KEPT THEIRS]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}

	// What another leaving of the editor decides.
	shown := strings.Join(e.Concede(p.Conflicts, now), "\n")
	if !strings.Contains(shown, "BOTH='theirs'") || !strings.Contains(shown, "GONE was deleted meanwhile") {
		t.Errorf("shown is\n%s", shown)
	}
	p = e.Plan(list, now)
	got = fmt.Sprint("set ", p.Added, p.Changed, " deleted ", p.Deleted, " conflicts ", p.Conflicts, " merged ", p.Merged)
	if want := "set [GONE] [BOTH FRESH MINE] deleted [DROPPED] conflicts [] merged [ADDED KEPT THEIRS]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestWithNotice(t *testing.T) {
	text, by := WithNotice([]byte("# x\nA=1\n"), []string{"one", "", "two"})
	if string(text) != "#! one\n#!\n#! two\n# x\nA=1\n" || by != 3 {
		t.Errorf("%q, %d", text, by)
	}
	text, by = WithNotice(text, []string{"three"})
	if string(text) != "#! three\n# x\nA=1\n" || by != -2 {
		t.Errorf("%q, %d", text, by)
	}
	if text, by = WithNotice([]byte("#!"), nil); string(text) != "" || by != -1 {
		t.Errorf("%q, %d", text, by)
	}
}

// FuzzEdit: any value comes back as it was, and any text is read or refused.
func FuzzEdit(f *testing.F) {
	for _, value := range editValues() {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, format := range editFormats {
			vault := NewVault()
			vault.Set("FIRST", "x\n")
			if valid := strings.ToValidUTF8(value, ""); valid != "" {
				vault.Set("NAME", valid)
			}
			vault.Set("ZLAST", "x")
			e := StartEditing(format, vault)
			list, err := e.Read(e.Text(nil, ParseTemplate([]byte("# a\nNAME=\n\n# b\n")), nil))
			if p := e.Plan(list, vault); err != nil || len(e.Aside()) > 0 || !p.Empty() {
				t.Errorf("%s: a value is changed: %v", format, err)
			}

			if list, err := e.Read([]byte(value)); err == nil {
				e.Plan(list, vault)
			}
		}
	})
}
