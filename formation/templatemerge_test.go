package formation

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestMergeTemplates(t *testing.T) {
	for _, test := range [...]struct{ about, base, ours, theirs, want string }{
		{"nothing", "", "", "", ""},
		{"nobody changed anything", "A=\nB=\n", "A=\nB=\n", "A=\nB=\n", "A=\nB=\n"},

		// Names.
		{"each added one", "M=\n", "A=\nM=\n", "M=\nZ=\n", "A=\nM=\nZ=\n"},
		{"a name added on both sides", "", "A=\n", "A=\n", "A=\n"},
		{"removed on ours", "A=\nB=\n", "B=\n", "A=\nB=\n", "B=\n"},
		{"removed on theirs", "A=\nB=\n", "A=\nB=\n", "B=\n", "B=\n"},
		{"removed on one, added on the other", "A=\nB=\n", "B=\n", "A=\nB=\nC=\n", "B=\nC=\n"},
		{"both removed one", "A=\nB=\n", "B=\n", "B=\n", "B=\n"},
		{"both removed everything", "A=\nB=\n", "", "", ""},
		{"both removed everything, comments are left", "# c\nA=\n", "# c\n", "# c\n", ""},
		{"each removed the other half", "A=\nB=\n", "A=\n", "B=\n", ""},
		{"renamed on theirs", "OLD=\nZ=\n", "OLD=\nZ=\n", "NEW=\nZ=\n", "NEW=\nZ=\n"},
		{"in no order", "B=\nA=\n", "B=\nA=\n", "C=\nB=\nA=\n", "A=\nB=\nC=\n"},
		{"names to be normalised", "a-b=\n", "a-b=\nC=\n", "A_B=\nd=\n", "A_B=\nC=\nD=\n"},
		{"said twice", "A=\n", "A=\nA=\nB=\n", "A=\nA=\nC=\nC=xxx\n", "A=\nB=\nC=\n"},

		// A side that is absent.
		{"no base", "", "# ours\nA=\n", "B=sk-...\n", "# ours\nA=\nB=sk-...\n"},
		{"no ours, new on theirs", "", "", "# theirs\nB=sk-...\n\n# about A\nA=\n", "# theirs\nB=sk-...\n\n# about A\nA=\n"},
		{"no ours, a key that lost its name", "", "", "# theirs\nhunter2-hunter2\nB=\n", "# theirs\nB=\n"},
		{"no theirs, new on ours", "", "# ours\nB=\n", "", "# ours\nB=\n"},
		{"ours deleted the file", "A=\nB=\n", "", "A=\nB=\nC=\n", "C=\n"},
		{"theirs deleted the file", "A=\nB=\n", "A=\nB=\nC=\n", "", "C=\n"},
		{"theirs deleted the file, nothing else changed", "A=\n", "A=\n", "", ""},

		// Placeholders.
		{"kept", "A=sk-...\n", "A=sk-...\nB=\n", "A=sk-...\nC=\n", "A=sk-...\nB=\nC=\n"},
		{"edited on ours", "A=sk-...\n", "A=sk-ant-...\n", "A=sk-...\nB=\n", "A=sk-ant-...\nB=\n"},
		{"edited on theirs", "A=sk-...\n", "A=sk-...\nB=\n", "A=sk-ant-...\n", "A=sk-ant-...\nB=\n"},
		{"edited on both", "A=sk-...\n", "A=sk-ant-...\n", "A=gsk_...\n", "A=sk-ant-...\n"},
		{"added on theirs", "A=\n", "A=\nB=\n", "A=sk-...\n", "A=sk-...\nB=\n"},
		{"taken away on theirs", "A=sk-...\n", "A=sk-...\nB=\n", "A=\n", "A=sk-...\nB=\n"},
		{"taken away on ours", "A=sk-...\n", "A=\nB=\n", "A=sk-...\n", "A=\nB=\n"},
		{"removed on ours, edited on theirs", "A=sk-...\nB=\n", "B=\n", "A=sk-ant-...\nB=\n", "A=sk-ant-...\nB=\n"},
		{"edited on ours, removed on theirs", "A=sk-...\nB=\n", "A=sk-ant-...\nB=\n", "B=\n", "A=sk-ant-...\nB=\n"},
		{"removed on ours, taken away on theirs", "A=sk-...\nB=\n", "B=\n", "A=\nB=\n", "B=\n"},
		{"with a comment behind", "", "B=\n", "A=sk-... # from example.com\n", "A=sk-... # from example.com\nB=\n"},

		// A real value.
		{"a value on theirs", "", "A=\n", "B=hunter2-hunter2\n", "A=\nB=\n"},
		{"a value on ours", "", "A=hunter2-hunter2\n", "B=\n", "A=\nB=\n"},
		{"a value for a placeholder", "A=sk-...\n", "A=sk-...\nB=\n", "A=hunter2-hunter2\n", "A=sk-...\nB=\n"},
		{"removed on ours, a value on theirs", "A=\nB=\n", "B=\n", "A=hunter2-hunter2\nB=\n", "B=\n"},
		{"a key that lost its name", "A=\n", "A=\nB=\n", "A=\nhunter2-hunter2\nC=\n", "A=\nB=\nC=\n"},

		// Comments of ours.
		{"ours has them all", "# about A\nA=\n", "# about A\nA=\n\n# about B\nB=\n", "# about A\nA=\nC=\n", "# about A\nA=\n\n# about B\nB=\nC=\n"},
		{"a name that goes, its comment stays", "# top\n\n# about A\nA=\nB=\n", "# top\n\n# about A\nA=\nB=\n", "# top\n\nB=\n", "# top\n\n# about A\nB=\n"},
		{"taken away on theirs", "# about A\nA=\n", "# about A\nA=\nB=\n", "A=\nC=\n", "# about A\nA=\nB=\nC=\n"},
		{"taken away on ours", "# top\n\n# about A\nA=\n", "A=\nB=\n", "# top\n\n# about A\nA=\nC=\n", "A=\nB=\nC=\n"},
		{"order of ours stays", "# c\nB=\nA=\n", "# c\nB=\nA=\n", "# c\nA=\nB=\nC=\n", "# c\nB=\nC=\nA=\n"},

		// Comments of theirs.
		{"with a new name", "A=\nZ=\n", "A=\nB=\nZ=\n", "A=\n# about M\n# more\nM=\nZ=\n", "A=\nB=\n# about M\n# more\nM=\nZ=\n"},
		{"with a new name, on top", "M=\n", "M=\nN=\n", "# about A\nA=\nM=\n", "# about A\nA=\nM=\nN=\n"},
		{"with a new name, set off", "# top\n\nA=\n\n# about Z\nZ=\n", "# top\n\nA=\nB=\n\n# about Z\nZ=\n", "# top\n\nA=\n\n# about M\nM=\n\n# about Z\nZ=\n",
			"# top\n\nA=\nB=\n\n# about M\nM=\n\n# about Z\nZ=\n"},
		{"with one of two new names", "M=\n", "M=\nN=\n", "A=\n# about B\nB=\nM=\n", "A=\n# about B\nB=\nM=\nN=\n"},
		{"each with a name", "", "# about B\nB=\n", "# about A\nA=\n", "# about B\nB=\n# about A\nA=\n"},
		{"each with the same name", "", "# ours\nA=\n", "# theirs\nA=\n", "# ours\n# theirs\nA=\n"},
		{"each with the same", "", "# about A\nA=\n", "# about A\nA=\n", "# about A\nA=\n"},
		{"the same words on two names", "# needed\nA=\n", "# needed\nA=\n# needed\nB=\n", "# needed\nA=\n# needed\nC=\n", "# needed\nA=\n# needed\nB=\n# needed\nC=\n"},
		{"a new name below an old comment", "# about A\nA=\nB=\n", "# about A\nA=\nB=\nC=\n", "# about A\nAA=\nA=\nB=\n", "# about A\nA=\nAA=\nB=\nC=\n"},
		{"only comments changed", "A=\nB=\n", "A=\nB=\nC=\n", "# top\n\n# about A\nA=\nB=\n# end\n", "# top\n\n# about A\nA=\nB=\n# end\n\nC=\n"},
		{"a comment edited on theirs", "# about A\nA=\n", "# about A\nA=\nB=\n", "# more about A\nA=\n", "# about A\n# more about A\nA=\nB=\n"},
		{"on a name that ours removed", "A=\nB=\n", "B=\n", "# about A\nA=\nB=\n", "B=\n"},
		{"removed on ours, edited on theirs, with its comment", "B=\n# about M\nM=sk-...\nZ=\n", "B=\nZ=\n", "B=\n# about M\nM=gsk_...\nZ=\n", "B=\n# about M\nM=gsk_...\nZ=\n"},
		{"removed on theirs, new words on ours", "A=\nB=\n", "# about A\nA=\nB=\n", "B=\n", "# about A\nB=\n"},

		// Comments that speak of no name.
		{"headers on both", "", "# ours\n\nA=\n", "# theirs\n\nB=\n", "# ours\n# theirs\n\nA=\nB=\n"},
		{"the same header", "", "# top\n\nA=\n", "# top\n\nB=\n", "# top\n\nA=\nB=\n"},
		{"a header on ours", "A=\n", "# top\n\nA=\n", "A=\nB=\n", "# top\n\nA=\nB=\n"},
		{"a header on theirs", "A=\n", "A=\nB=\n", "# top\n# more\n\nA=\n", "# top\n# more\n\nA=\nB=\n"},
		{"a header on theirs, above a comment of ours", "A=\n", "# about A\nA=\n", "# top\n\nA=\n", "# top\n\n# about A\nA=\n"},
		{"between names", "A=\nB=\n", "A=\nB=\nC=\n", "A=\n\n# one\n\n# two\n\nB=\n", "A=\n\n# one\n\n# two\n\nB=\nC=\n"},
		{"at the end", "A=\n", "A=\n# ours\n", "A=\n# theirs\n", "A=\n# theirs\n\n# ours\n"},

		// Bytes.
		{"CRLF on ours", "A=\n", "A=\r\nB=\r\n", "A=\n# about C\nC=\n", "A=\r\nB=\r\n# about C\r\nC=\r\n"},
		{"CRLF on theirs", "A=\n", "A=\nB=\n", "A=\r\n# about C\r\nC=\r\n", "A=\nB=\n# about C\nC=\n"},
		{"CRLF everywhere", "# c\r\nA=\r\n", "# c\r\nA=\r\nB=\r\n", "# c\r\nA=\r\nC=\r\n", "# c\r\nA=\r\nB=\r\nC=\r\n"},
		{"CRLF, only the endings differ", "# c\nA=\n", "# c\r\nA=\r\n", "# c\nA=\nB=\n", "# c\r\nA=\r\nB=\r\n"},
		{"BOM", "\ufeffA=\n", "\ufeffA=\nB=\n", "A=\nC=\n", "A=\nB=\nC=\n"},
		{"no newline at the end", "A=", "A=\nB=", "A=\nC=", "A=\nB=\nC=\n"},
		{"blanks at the ends of comments", "# c \nA=\n", "# c\nA=\nB=\n", "# c\t\nA=\nC=\n", "# c\nA=\nB=\nC=\n"},
	} {
		t.Run(test.about, func(t *testing.T) {
			sides := [3][]byte{}
			for i, text := range [...]string{test.base, test.ours, test.theirs} {
				if text != "" {
					sides[i] = []byte(text)
				}
			}
			got := MergeTemplates(sides[0], sides[1], sides[2])
			if string(got) != test.want || (got == nil) != (test.want == "") {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			checkTemplateMerge(t, sides[0], sides[1], sides[2])
		})
	}
}

// The examples' own templates, with a name added on each side: no line of them
// moves.
func TestMergeTemplatesKeepsLayout(t *testing.T) {
	const content = "# Keys of the chatbot\n# See the guide.\n\n# LLM\nOPENAI_API_KEY=sk-...\nANTHROPIC_API_KEY=sk-ant-...\n\n# Tools\n# GitHub: https://github.com/settings/tokens\nGITHUB_TOKEN=ghp_...\n"
	ours := strings.Replace(content, "# Tools\n", "# Tools\n# Brave\nBRAVE_API_KEY=BSA...\n", 1)
	theirs := content + "\n# Search\nTAVILY_API_KEY=tvly-...\n"
	// TAVILY goes behind the last name before it in the alphabet, its block set off.
	want := strings.Replace(ours, "OPENAI_API_KEY=sk-...\n", "OPENAI_API_KEY=sk-...\n\n# Search\nTAVILY_API_KEY=tvly-...\n\n", 1)
	if got := MergeTemplates([]byte(content), []byte(ours), []byte(theirs)); string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// templateModel is the three-way merge of the names alone, on maps of name to
// placeholder.
func templateModel(base, ours, theirs map[string]string) []string {
	var names []string
	for name := range ours {
		if _, both := theirs[name]; both {
			names = append(names, name)
		}
	}
	for _, pair := range [...][2]map[string]string{{ours, theirs}, {theirs, ours}} {
		for name, hint := range pair[0] {
			_, both := pair[1][name]
			was, had := base[name]
			if !both && (!had || hint != was && hint != "") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// modelHints reads a template line by line, the first line of a name counting.
func modelHints(content []byte) map[string]string {
	hints := map[string]string{}
	for line := range strings.SplitSeq(string(content), "\n") {
		name, value, ok := cutTemplateLine(strings.TrimLeft(strings.TrimRight(line, "\r"), "\ufeff"))
		if _, again := hints[name]; !ok || again {
			continue
		}
		hints[name] = ""
		if isHint(value) {
			hints[name] = value
		}
	}
	return hints
}

// checkTemplateMerge holds a merge to what is true of every one.
func checkTemplateMerge(t *testing.T, base, ours, theirs []byte) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("base %q, ours %q, theirs %q", base, ours, theirs)
		}
	}()
	once := MergeTemplates(base, ours, theirs)
	names := templateModel(modelHints(base), modelHints(ours), modelHints(theirs))
	merged := ParseTemplate(once)
	if got := merged.Names(); !slices.Equal(got, names) {
		t.Fatalf("names %q, the model %q", got, names)
	}
	if reverse := ParseTemplate(MergeTemplates(base, theirs, ours)).Names(); !slices.Equal(reverse, names) {
		t.Fatalf("names %q, the other way round %q", names, reverse)
	}
	if len(names) == 0 {
		if once != nil {
			t.Fatal("a template of no names")
		}
		return
	}
	if values := withNames(merged); len(values) > 0 {
		t.Fatalf("a value came in, line %d", values[0].Line)
	}
	if again := merged.With(names); !bytes.Equal(again, once) {
		t.Fatalf("not as With writes it: %q, %q", once, again)
	}
	if again := MergeTemplates(base, once, theirs); !bytes.Equal(again, once) {
		t.Fatalf("merged again: %q, first %q", again, once)
	}
	if again := MergeTemplates(theirs, once, theirs); !bytes.Equal(again, once) {
		t.Fatalf("theirs merged into the result: %q, first %q", again, once)
	}
	// Every comment of ours is still there, in its order.
	rest := merged.lines
	for _, line := range ParseTemplate(ours).lines {
		if isComment(line) {
			at := slices.IndexFunc(rest, func(other templateLine) bool { return other.text == line.text })
			if at < 0 {
				t.Fatalf("a comment of ours is gone from %q", once)
			}
			rest = rest[at+1:]
		}
	}
	// Every other line is a name, or came from a side; from theirs only comments.
	for _, line := range merged.lines {
		if line.name == "" && !isBlank(line) && !bytes.Contains(ours, []byte(line.text)) && (!isComment(line) || !bytes.Contains(theirs, []byte(line.text))) {
			t.Fatalf("a line that nobody wrote in %q", once)
		}
	}
}

// Templates of a few lines, each side with some lines put in, taken out or
// changed.
func TestMergeTemplatesAtRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 13))
	pool := [...]string{"A=", "B=", "C=", "D=", "A=sk-...", "B=xxx", "C=<c>", "d=hunter2-hunter2", "", "", "# one", "# two", "# three", "#", "A", "some text"}
	edit := func(lines []string) []string {
		edited := slices.Clone(lines)
		for range rnd.IntN(4) {
			at, line := rnd.IntN(len(edited)+1), pool[rnd.IntN(len(pool))]
			switch {
			case at == len(edited) || rnd.IntN(2) == 0:
				edited = slices.Insert(edited, at, line)
			case rnd.IntN(2) == 0:
				edited = slices.Delete(edited, at, at+1)
			default:
				edited[at] = line
			}
		}
		return edited
	}
	for range 30000 {
		var base []string
		for range 1 + rnd.IntN(4) {
			base = edit(base)
		}
		texts := [3][]byte{}
		for i, lines := range [...][]string{base, edit(base), edit(base)} {
			texts[i] = []byte(strings.Join(lines, "\n"))
		}
		checkTemplateMerge(t, texts[0], texts[1], texts[2])
		if t.Failed() {
			return
		}
	}
}

func FuzzMergeTemplates(f *testing.F) {
	for _, seed := range [...][3]string{
		{"", "", ""}, {"A=\nB=\n", "A=\n", "A=\nB=\nC=\n"}, {"# c\r\nA=sk-...\r\n", "A=\n", "# c\n# d\nA=sk-ant-...\nB=hunter2\n"}, {"", "# B\nB=\n", "# A\nA=\n\n# end"},
		{"# t\n\nM=\n", "M=\nhunter2-hunter2\n\n\n", "\ufeff# t\n\n# u\n\n# m\n# m\nM=x\nA\n# z\nA=...\n"}, {"#x\nK=\n", "K=\n", "#x\n\n#x\nK=\n#x\nN=\n"},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]), []byte(seed[2]))
	}
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) { checkTemplateMerge(t, base, ours, theirs) })
}
