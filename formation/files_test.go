package formation

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// makeFiles writes files below a new folder and returns the folder, its
// symbolic links resolved.
func makeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func makeFormation(t *testing.T, files map[string]string) *Formation {
	t.Helper()
	dir := makeFiles(t, files)
	f, err := At(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReferenceFiles(t *testing.T) {
	shared := makeFiles(t, map[string]string{"agents/linked.afs": "", "deep/x.afs": "", "tool.afs": ""})
	f := makeFormation(t, map[string]string{
		"formation.afs": "", "agents/a.afs": "", "mcp/b.yml": "", "mcps/c.yaml": "", "a2a/d.afs": "", "groups/e.afs": "",
		"transformers/f.afs": "", "sops/g.md": "", "triggers/h.md": "", "skills/s/i.py": "", "knowledge/j.txt": "", "other/deep/k.yml": "",
		"README.md": "", "secrets": "", "agents/notes.txt": "",
		".github/workflows/ci.yml": "", "node_modules/x/y.yaml": "", ".git/z.yml": "",
		"nested/formation.yaml": "", "nested/agents/n.afs": "",
	})
	needs.Link(t, filepath.Join(shared, "agents"), f.Path("skills/agents"))   // a folder where the runtime loads nothing from
	needs.Link(t, filepath.Join(shared, "tool.afs"), f.Path("mcp/tool.afs"))  // a file
	needs.Link(t, filepath.Join(shared, "nowhere"), f.Path("mcp/broken.afs")) // nothing
	needs.Link(t, "/", f.Path("root"))
	needs.Link(t, "..", f.Path("agents/loop"))
	want := []string{
		"a2a/d.afs", "agents/a.afs", "formation.afs", "groups/e.afs", "knowledge/j.txt", "mcp/b.yml", "mcp/tool.afs", "mcps/c.yaml",
		"other/deep/k.yml", "skills/s/i.py", "sops/g.md", "transformers/f.afs", "triggers/h.md",
	}
	got, err := f.ReferenceFiles()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}

	linked := makeFormation(t, map[string]string{"formation.yml": ""})
	needs.Link(t, filepath.Join(shared, "agents"), linked.Path("agents"))
	needs.Link(t, linked.Path("."), linked.Path("mcp")) // the formation in itself
	got, err = linked.ReferenceFiles()
	if err != nil || !slices.Equal(got, []string{"agents/linked.afs", "formation.yml"}) {
		t.Errorf("a linked folder: %q, %v", got, err)
	}

	// each folder that the runtime loads from, kept elsewhere
	files := map[string]string{
		"agents": "a.afs", "mcp": "b.afs", "mcps": "c.json", "a2a": "d.afs", "groups": "e.yaml", "transformers": "f.afs",
		"sops": "g.md", "triggers": "h.md", "skills": "i/SKILL.md", "knowledge": "j.txt", "other": "k.afs",
	}
	all := makeFormation(t, map[string]string{"formation.afs": ""})
	want = []string{"formation.afs"}
	for folder, file := range files {
		needs.Link(t, makeFiles(t, map[string]string{file: ""}), all.Path(folder))
		if folder != "other" {
			want = append(want, folder+"/"+file)
		}
	}
	slices.Sort(want)
	if got, err = all.ReferenceFiles(); err != nil || !slices.Equal(got, want) {
		t.Errorf("linked folders: %q, %v\nwant %q", got, err, want)
	}
}

func TestSurvey(t *testing.T) {
	f := makeFormation(t, map[string]string{
		"formation.afs":       "a: ${{ secrets.B }}\nb: ${{ secrets.A || '' }}\nc: ${{ secrets.C || '' }}\n",
		"agents/a.afs":        "a: ${{ secrets.A }}\nb: [\n",
		"skills/s/SKILL.md":   "${{ user.credentials.x }} ${{ secret.Q }}",
		".github/ci.yml":      "a: ${{ secrets.GITHUB_TOKEN }}\n",
		"n/formation.afs":     "a: ${{ secrets.NESTED }}\n",
		"knowledge/image.png": "\x00${{ secrets.BINARY }}",
	})
	s, err := f.Survey()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Names(), " "); got != "A B C USER_CREDENTIALS_X" {
		t.Errorf("Names: %s", got)
	}
	if got := strings.Join(s.Required(), " "); got != "A B USER_CREDENTIALS_X" {
		t.Errorf("Required: %s", got)
	}
	if len(s.Broken) != 1 || s.Broken["agents/a.afs"] == nil {
		t.Errorf("Broken: %v", s.Broken)
	}
	if len(s.Malformed) != 1 || s.Malformed[0].Path != "skills/s/SKILL.md" {
		t.Errorf("Malformed: %v", s.Malformed)
	}
	if to := s.To("A"); len(to) != 2 || to[0].Path != "agents/a.afs" || to[1].Line != 2 {
		t.Errorf("To(A): %s", describe(to))
	}
	if len(s.To("NESTED")) != 0 {
		t.Error("a nested formation's reference")
	}
}

// What is present need not be loaded: where the runtime only warns, a value is
// lacked softly.
func TestSurveyLacking(t *testing.T) {
	files := map[string]string{
		"agents/a.afs":                "x: ${{ secrets.DECLARED }}\ny: ${{ secrets.BOTH }}\n",
		"agents/b.afs":                "id: other\nx: ${{ secrets.BY_ID }}\n",
		"agents/c.json":               `{"id": "c", "x": "${{ secrets.SPARE }} ${{ secrets.BOTH }}"}`,
		"agents/broken.afs":           "x: ${{ secrets.BROKEN }}\ny: [\n",
		"skills/s/SKILL.md":           "${{ secrets.SKILL }}",
		"skills/s/references/page.md": "${{ secrets.PAGE }} ${{ secrets.STORED }} ${{ secrets.MAYBE || '' }}",
		"transformers/t.yaml":         "url: ${{ secrets.slack-url }}\n",
	}
	vault := NewVault()
	vault.Set("STORED", "x")
	vault.Set("SPARE_ONE", "x")
	for about, test := range map[string]struct{ formation, want string }{
		"a list":       {"agents:\n  - a\n  - id: other\n", "BOTH BROKEN BY_ID DECLARED PAGE~ SKILL SLACK_URL SPARE~"},
		"with endings": {"agents: [./agents/a.afs, agents/c.json]\n", "BOTH BROKEN BY_ID~ DECLARED PAGE~ SKILL SLACK_URL SPARE"},
		"nobody":       {"agents: []\n", "BOTH~ BROKEN BY_ID~ DECLARED~ PAGE~ SKILL SLACK_URL SPARE~"},
		"not said":     {"id: x\n", "BOTH BROKEN BY_ID DECLARED PAGE~ SKILL SLACK_URL SPARE"},
		"said of none": {"agents:\n", "BOTH BROKEN BY_ID DECLARED PAGE~ SKILL SLACK_URL SPARE"},
		"no YAML":      {"agents: [\n", "BOTH BROKEN BY_ID DECLARED PAGE~ SKILL SLACK_URL SPARE"},
	} {
		files["formation.afs"] = test.formation
		s, err := makeFormation(t, files).Survey()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, lack := range s.Lacking(vault) {
			if lack.Soft {
				lack.Name += "~"
			}
			got = append(got, lack.Name)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: lacking %q, want %s", about, got, test.want)
		}
		if unused := s.Unused(vault); !slices.Equal(unused, []string{"SPARE_ONE"}) {
			t.Errorf("%s: unused %q", about, unused)
		}
	}
}

func TestSurveyUnreadable(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": "", "agents/a.afs": ""})
	// Root may read everything: a folder that vanishes is unreadable to anybody.
	gone := &Formation{Dir: filepath.Join(f.Dir, "gone"), File: "formation.afs"}
	_, err := gone.Survey()
	var file *safefile.Error
	if !errors.As(err, &file) || file.Op != "read" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// The published examples refer to what their templates list, and to nothing
// malformed.
func TestSurveyExamples(t *testing.T) {
	examples := Below(filepath.Join("..", "testdata", "formations"), nil)
	if len(examples) != 5 {
		t.Fatalf("%d example formations", len(examples))
	}
	for _, f := range examples {
		s, err := f.Survey()
		if err != nil {
			t.Fatal(err)
		}
		template, _, ok, err := f.ReadTemplate()
		if err != nil || !ok {
			t.Fatalf("%s: %v", f.Dir, err)
		}
		if len(s.Malformed) > 0 || len(s.Broken) > 0 {
			t.Errorf("%s: malformed %v, broken %v", f.Dir, s.Malformed, s.Broken)
		}
		for _, name := range template.Names() {
			if len(s.To(name)) == 0 {
				t.Errorf("%s: %s is in the template alone", f.Dir, name)
			}
		}
	}
}

func TestFormationsFound(t *testing.T) {
	dir := makeFiles(t, map[string]string{
		"one/formation.afs": "", "one/agents/a.afs": "", "two/formation.yml": "", "two/formation.yaml": "", "two/in/formation.afs": "",
		"none/x.afs": "", "node_modules/p/formation.afs": "", "folder/formation.afs/x": "",
	})
	var found []string
	for _, f := range Below(dir, nil) {
		rel, _ := filepath.Rel(dir, f.Dir)
		found = append(found, filepath.ToSlash(rel)+"/"+f.File)
	}
	if got := strings.Join(found, " "); got != "one/formation.afs two/formation.yaml two/in/formation.afs" {
		t.Errorf("Below: %s", got)
	}
	if f := Above(filepath.Join(dir, "one", "agents")); f == nil || filepath.Base(f.Dir) != "one" {
		t.Errorf("Above: %v", f)
	}
	if f := Above(filepath.Join(dir, "none")); f != nil {
		t.Errorf("Above of none: %v", f)
	}
	for _, path := range [...]string{"none", "missing", "none/x.afs", "folder"} {
		_, err := At(filepath.Join(dir, path))
		var not *NotFormationError
		if !errors.As(err, &not) || !strings.Contains(filepath.ToSlash(err.Error()), path) {
			t.Errorf("At(%s): %v", path, err)
		}
	}
}

// edited returns the one file that a rename changes.
func edited(t *testing.T, f *Formation, from, to string) []byte {
	t.Helper()
	edits, err := f.RenameEdits(from, to)
	if err != nil {
		t.Fatal(err)
	}
	if len(edits) != 1 {
		t.Fatalf("%d files would change", len(edits))
	}
	return edits[0].Content
}

func TestRenameEdits(t *testing.T) {
	for about, test := range map[string]struct{ before, after string }{
		"every style": {
			"# ${{ secrets.OLD }} stays\na: \"${{ secrets.OLD }}\"   # ${{secrets.OLD}}\nb: '${{secrets.OLD}}'\nc: ${{ secrets.OLD || '' }}\nd: |\n  x ${{\n   secrets.OLD }}\ne: {f: [\"${{ secrets.OLDER }}\", \"${{ secrets.OLD }}${{ secrets.OLD }}\"]}\n",
			"# ${{ secrets.OLD }} stays\na: \"${{ secrets.NEWER }}\"   # ${{secrets.OLD}}\nb: '${{secrets.NEWER}}'\nc: ${{ secrets.NEWER || '' }}\nd: |\n  x ${{\n   secrets.NEWER }}\ne: {f: [\"${{ secrets.OLDER }}\", \"${{ secrets.NEWER }}${{ secrets.NEWER }}\"]}\n",
		},
		"CRLF, BOM, no newline at the end": {"\ufeffa: ${{ secrets.OLD }}\r\nb: ${{ secrets.OLD }}", "\ufeffa: ${{ secrets.NEWER }}\r\nb: ${{ secrets.NEWER }}"},
		"lower case":                       {"a: ${{ secrets.old }}\n", "a: ${{ secrets.NEWER }}\n"},
		"documents":                        {"a: ${{ secrets.OLD }}\n--- # OLD\nb: ${{ secrets.OLD }}\n", "a: ${{ secrets.NEWER }}\n--- # OLD\nb: ${{ secrets.NEWER }}\n"},
		"a key stays":                      {"\"${{ secrets.OLD }}\": ${{ secrets.OLD }}\n", "\"${{ secrets.OLD }}\": ${{ secrets.NEWER }}\n"},
		"broken YAML":                      {"a: [\nb: ${{ secrets.OLD }} # ${{ secrets.OLD }}\n", "a: [\nb: ${{ secrets.NEWER }} # ${{ secrets.OLD }}\n"},
		"behind one that is left open":     {"a: \"${{ secrets.A\"\nb: \"${{ secrets.OLD }}\"\n", "a: \"${{ secrets.A\"\nb: \"${{ secrets.NEWER }}\"\n"},
		"chained":                          {"a: ${{ secrets.X || secrets.OLD }}\n", "a: ${{ secrets.X || secrets.NEWER }}\n"},
	} {
		f := makeFormation(t, map[string]string{"formation.afs": test.before, "agents/other.afs": "a: ${{ secrets.OTHER }}\n"})
		if got := string(edited(t, f, "OLD", "NEWER")); got != test.after {
			t.Errorf("%s: got\n%s", about, got)
		}
		if onDisk, _ := os.ReadFile(f.Path("formation.afs")); string(onDisk) != test.before {
			t.Errorf("%s: the file itself was written", about)
		}
	}
}

func TestRenameUserCredentials(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": "a: ${{ user.credentials.git-hub }}\nb: ${{ secrets.USER_CREDENTIALS_GIT_HUB }}\n"})
	got := string(edited(t, f, "USER_CREDENTIALS_GIT_HUB", "USER_CREDENTIALS_GIT_LAB"))
	if got != "a: ${{ user.credentials.git_lab }}\nb: ${{ secrets.USER_CREDENTIALS_GIT_LAB }}\n" {
		t.Errorf("got %s", got)
	}
	for _, to := range [...]string{"TOKEN", "USER_CREDENTIALS_"} {
		_, err := f.RenameEdits("USER_CREDENTIALS_GIT_HUB", to)
		var not *Unrewritable
		if !errors.As(err, &not) || not.Reference.Line != 1 {
			t.Errorf("to %s: %v", to, err)
		}
	}
}

func TestRenameEscaped(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": `a: "${{ secrets.\x4fLD }}"`})
	_, err := f.RenameEdits("OLD", "NEW")
	var not *Unrewritable
	if !errors.As(err, &not) || not.Reference.Path != "formation.afs" {
		t.Errorf("got %v", err)
	}
}

// A rename that is undone gives the very bytes there were; what the parser
// sees afterwards is the new name where it saw the old.
func TestRenameThereAndBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	pieces := []string{
		"a%: ${{ secrets.OLD }}\n", "a%: \"é ${{secrets.OLD}} ${{ secrets.OTHER }}\"  # ${{ secrets.OLD }}\n", "# ${{ secrets.OLD }}\n",
		"a%: |\n  # ${{ secrets.OLD }}\n  ${{\n  secrets.OLD || 'x' }}\n", "a%: >-\r\n  ${{ secrets.OLD }}\r\n", "\n", "---\n",
		"a%: {b: [\"${{ secrets.OLD }}\", 1], \"${{ secrets.OLD }}\": '${{ secrets.OLD || '''' }}'}\n", "a%: OLD # OLD\n",
		"? \"${{ secrets.OLD }}\"\n: ${{ secrets.OLD }}\n", "a%: &x% \"${{ secrets.OLD }}\"\nb%: *x%\n", "a%: \"${{ secrets.OLD\"\n",
	}
	for range 300 {
		var file strings.Builder
		for i := range 1 + rnd.IntN(12) {
			file.WriteString(strings.ReplaceAll(pieces[rnd.IntN(len(pieces))], "%", string(rune('a'+i))))
		}
		if rnd.IntN(4) == 0 {
			file.WriteString("broken: [\n")
		}
		before := []byte(file.String())
		f := makeFormation(t, map[string]string{"formation.afs": string(before)})
		was := ReferencesIn("formation.afs", before)
		if len((&Survey{References: was.References}).To("OLD")) == 0 {
			continue
		}
		after := edited(t, f, "OLD", "A_LONGER_NAME")
		now := ReferencesIn("formation.afs", after)
		if len(now.References) != len(was.References) || (now.Broken == nil) != (was.Broken == nil) {
			t.Fatalf("other references than before in\n%s", before)
		}
		for i, ref := range was.References {
			if ref.Name == "OLD" {
				ref.Name = "A_LONGER_NAME"
			}
			if now.References[i].Name != ref.Name || now.References[i].Line != ref.Line {
				t.Fatalf("reference %d is %s in\n%s", i, now.References[i].Name, after)
			}
		}
		if err := os.WriteFile(f.Path("formation.afs"), after, 0o644); err != nil {
			t.Fatal(err)
		}
		if back := edited(t, f, "A_LONGER_NAME", "OLD"); !bytes.Equal(back, before) {
			t.Fatalf("undone, it is\n%s\nand was\n%s", back, before)
		}
	}
}
