package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// describe gives references as "NAME@line:column" with ? for optional, u for
// user.credentials and ~ for those that the runtime does not replace.
func describe(refs []Reference) string {
	var list []string
	for _, r := range refs {
		text := fmt.Sprintf("%s@%d:%d", r.Name, r.Line, r.Column)
		if r.Optional {
			text += "?"
		}
		if r.User {
			text += "u"
		}
		if r.Unreplaced != "" {
			text += "~"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func describeMalformed(bad []Malformed) string {
	var list []string
	for _, m := range bad {
		list = append(list, fmt.Sprintf("%d:%d", m.Line, m.Column))
	}
	return strings.Join(list, " ")
}

func TestReferencesInYAML(t *testing.T) {
	for _, test := range [...]struct {
		about     string
		yaml      string
		want      string // see describe
		malformed string // their places
		broken    bool
	}{
		{about: "double-quoted", yaml: `key: "${{ secrets.A }}"`, want: "A@1:7"},
		{about: "single-quoted", yaml: `key: '${{ secrets.A }}'`, want: "A@1:7"},
		{about: "plain", yaml: "key: ${{ secrets.A }}\n", want: "A@1:6"},
		{about: "partial", yaml: `h: "Bearer ${{ secrets.A }}!"`, want: "A@1:12"},
		{about: "two in one value", yaml: `u: "${{ secrets.A }}:${{ secrets.B }}"`, want: "A@1:5 B@1:22"},
		{about: "twice the same", yaml: "a: ${{ secrets.A }}\nb: ${{ secrets.A }}\n", want: "A@1:4 A@2:4"},
		{about: "a dozen", yaml: `l: ["${{ secrets.N0 }}", "${{ secrets.N1 }}", "${{ secrets.N2 }}", "${{ secrets.N3 }}", "${{ secrets.N4 }}", "${{ secrets.N5 }}", "${{ secrets.N6 }}", "${{ secrets.N7 }}", "${{ secrets.N8 }}", "${{ secrets.N9 }}", "${{ secrets.N10 }}", "${{ secrets.N11 }}"]`, want: "N0@1:6 N1@1:27 N2@1:48 N3@1:69 N4@1:90 N5@1:111 N6@1:132 N7@1:153 N8@1:174 N9@1:195 N10@1:216 N11@1:238"},
		{about: "list", yaml: "l:\n  - ${{ secrets.A }}\n  - x: ${{ secrets.B }}\n", want: "A@2:5 B@3:8"},
		{about: "flow map and list", yaml: `m: {a: "${{ secrets.A }}", l: ['${{ secrets.B }}']}`, want: "A@1:9 B@1:33"},
		{about: "top-level string", yaml: `"${{ secrets.A }}"`, want: "A@1:2"},
		{about: "tagged", yaml: `k: !!str "${{ secrets.A }}"`, want: "A@1:11"},
		{about: "user credentials", yaml: `k: "${{ user.credentials.git-hub }}"`, want: "USER_CREDENTIALS_GIT_HUB@1:5u~"},
		{about: "user credentials by their secret's name", yaml: `k: "${{ secrets.USER_CREDENTIALS_X }}"`, want: "USER_CREDENTIALS_X@1:5"},
		{about: "lower case", yaml: `k: "${{ secrets.openai_api_key }}"`, want: "OPENAI_API_KEY@1:5~"},
		{about: "scope in capitals", yaml: `k: "${{ SECRETS.A }}"`, want: "A@1:5~"},
		{about: "a name to be normalised", yaml: `k: "${{ secrets.A__B_ }}"`, want: "A_B@1:5~"},
		{about: "optional", yaml: `k: "${{ secrets.A || '' }}"`, want: "A@1:5?"},
		{about: "optional with another", yaml: `k: "${{ secrets.A || secrets.B }}"`, want: "A@1:5? B@1:5?"},
		{about: "optional, escaped quotes", yaml: `k: "${{ secrets.A || \"\" }}"`, want: "A@1:5?"},
		{about: "optional, doubled quotes", yaml: `k: '${{ secrets.A || '''' }}'`, want: "A@1:5?"},

		{about: "literal block", yaml: "k: |\n  one\n  two ${{ secrets.A }}\n", want: "A@3:7"},
		{about: "folded block, stripped", yaml: "k: >-\n  ${{ secrets.A }}\n  ${{ secrets.B }}\n", want: "A@2:3 B@3:3"},
		{about: "a # in a block is no comment", yaml: "k: |\n  # ${{ secrets.A }}\n", want: "A@2:5"},
		{about: "a # in quotes is no comment", yaml: `k: " # ${{ secrets.A }}"`, want: "A@1:8"},
		{about: "newline inside the braces, plain", yaml: "k: ${{\n    secrets.A\n  }}\n", want: "A@1:4"},
		{about: "newline inside the braces, quoted", yaml: "k: \"${{ secrets.A\n  }}\"\n", want: "A@1:5"},
		{about: "newline inside the braces, literal", yaml: "k: |\n  ${{\n    secrets.A\n  }}\n", want: "A@2:3"},

		{about: "escapes around it", yaml: `k: "\t\"${{ secrets.A }}\""`, want: "A@1:9"},
		{about: "escaped dollar", yaml: `k: "\x24{{ secrets.A }}"`, want: "A@1:4"},
		{about: "escaped brace", yaml: `k: "$\x7b{ secrets.A }}"`, want: "A@1:4"},
		{about: "escaped name", yaml: `k: "${{ secrets.\u0041\U00000042C }}"`, want: "ABC@1:4"},
		{about: "escaped line end inside", yaml: "k: \"$\\\n  {{ secrets.A }}\"\n", want: "A@1:4"},
		{about: "by their place", yaml: `k: "${{ secrets.A }} \x24{{ secrets.B }}"`, want: "B@1:4 A@1:5"},
		{about: "escaped blank inside", yaml: `k: "${{\tsecrets.A }}"`, want: "A@1:4"},
		{about: "an escaped dollar that is none", yaml: `k: '\x24{{ secrets.A }}'`},

		{about: "anchor and alias count once", yaml: "a: &x ${{ secrets.A }}\nb: *x\nc: {<<: {d: *x}}\n", want: "A@1:7"},
		{about: "anchored map", yaml: "a: &x\n  b: \"${{ secrets.A }}\"\nc:\n  <<: *x\n", want: "A@2:7"},
		{about: "key", yaml: `"${{ secrets.A }}": 1`, malformed: "1:2"},
		{about: "complex key", yaml: "? [\"${{ secrets.A }}\"]\n: ${{ secrets.B }}\n", want: "B@2:3", malformed: "1:5"},
		{about: "map in a key", yaml: "? {a: \"${{ secrets.A }}\"}\n: ${{ secrets.B }}\n", want: "B@2:3", malformed: "1:8"},
		{about: "comments", yaml: "# ${{ secrets.A }}\nk: v # ${{ secrets.B }}\n  # ${{ secrets.C }}\nl: ${{ secrets.D }} # ${{ secrets.E }}\n", want: "D@4:4"},
		{about: "other scopes", yaml: `k: "${{ data.A }} ${{ env.B }} ${{ inputs.C }} ${HOME}"`},

		{about: "documents", yaml: "a: ${{ secrets.A }}\n---\nb: ${{ secrets.B }}\n...\n---\n# ${{ secrets.C }}\n", want: "A@1:4 B@3:4"},
		{about: "CRLF", yaml: "a: 1\r\nb: \"${{ secrets.A }}\"\r\nc: |\r\n  ${{ secrets.B }}\r\n", want: "A@2:5 B@4:3"},
		{about: "BOM", yaml: "\ufeffa: ${{ secrets.A }}\nb: ${{ secrets.B }}\n", want: "A@1:4 B@2:4"},
		{about: "columns count characters", yaml: "ключ: \"日本 \U0001f511 ${{ secrets.A }}\"", want: "A@1:13"},
		{about: "no newline at the end", yaml: "a: ${{ secrets.A }}", want: "A@1:4"},
		{about: "empty", yaml: ""},
		{about: "only comments", yaml: "# ${{ secrets.A }}\n"},

		{about: "malformed, each at its place", yaml: "a: \"${{ secret.X }}\"\nb: \"${{ secret.X }} ${{ secret.X }}\"\n", malformed: "1:5 2:5 2:21"},
		{about: "malformed, below a comment that says the same", yaml: "# ${{ secret.X }}\na: |\n  b\n  ${{ secret.X }}\n", malformed: "4:3"},
		{about: "a name with no letter", yaml: `k: "${{ secrets.___ }}"`, malformed: "1:5"},
		{about: "malformed does not hide the next", yaml: "a: \"${{ secrets.A\"\nb: \"${{ secrets.B }}\"\n", want: "B@2:5"},
		{about: "a comment left open hides nothing", yaml: "# see ${{ secrets.X\nb: \"${{ secrets.B }}\"\n", want: "B@2:5"},

		{about: "broken: line by line", yaml: "a: [\nb: \"${{ secrets.A }}\"\n# ${{ secrets.B }}\nc: d # ${{ secrets.C }}\ne: \"# ${{ secrets.D }}\"\n", want: "A@2:5 D@5:7", broken: true},
		{about: "broken: plain in a flow", yaml: "a: {b: ${{ secrets.A }}, c: ${{ secrets.B }}}\n", want: "A@1:8 B@1:29", broken: true},
		{about: "broken: conflict markers", yaml: "<<<<<<< ours\na: ${{ secrets.A }}\n=======\na: ${{ secrets.B }}\n>>>>>>> theirs\n", want: "A@2:4 B@4:4", broken: true},
		{about: "broken: malformed", yaml: "a: [\nb: \"${{ secret.A }}\"\n", malformed: "2:5", broken: true},
		{about: "broken: no UTF-8", yaml: "a: \xff\nb: ${{ secrets.A }}\n", want: "A@2:4", broken: true},

		{about: "a mark in the file", yaml: "a: MUXIREF0X ${{ secrets.MUXIREF }}\nb: ${{ secrets.MUXIREF0X }}\n", want: "MUXIREF@1:14 MUXIREF0X@2:4"},
	} {
		t.Run(test.about, func(t *testing.T) {
			content := []byte(test.yaml)
			found := ReferencesIn("agents/x.afs", content)
			if got := describe(found.References); got != test.want {
				t.Errorf("references %q, want %q", got, test.want)
			}
			if got := describeMalformed(found.Malformed); got != test.malformed {
				t.Errorf("malformed %q, want %q", got, test.malformed)
			}
			if (found.Broken != nil) != test.broken {
				t.Errorf("broken: %v, want %t", found.Broken, test.broken)
			}
			for _, r := range found.References {
				if r.Path != "agents/x.afs" {
					t.Errorf("path %q", r.Path)
				}
				if r.end != 0 && string(content[r.start:r.end]) != r.Spelled {
					t.Errorf("%s: other bytes at its place", r.Name)
				}
			}
		})
	}
}

// The runtime has more than one pattern: where a reference stands decides.
func TestReferencesByPlace(t *testing.T) {
	const hook = "${{ secrets.slack-webhook-url }} ${{ secrets.Other.Url }}"
	for _, test := range [...]struct{ about, path, text, want, malformed string }{
		{"transformer", "transformers/a.yaml", "endpoint:\n  url: \"" + hook + "\"\n", "SLACK_WEBHOOK_URL@2:9 OTHER_URL@2:42", ""},
		{"transformer, other spellings", "transformers/a.yml", "a: ${{ secrets._X_ }}\nb: ${{ SECRETS.x }}\n", "X@1:4 X@2:4~", ""},
		{"transformer that is no YAML", "transformers/a.yaml", "a: [\nb: " + hook + "\n", "SLACK_WEBHOOK_URL@2:4 OTHER_URL@2:37", ""},
		{"a key in a transformer", "transformers/a.yaml", "\"${{ secrets.a-b }}\": 1\n", "", "1:2"},
		{"a comment in a transformer", "transformers/a.yaml", "a: 1 # ${{ secrets.a-b }}\n", "", ""},
		{"agent", "agents/a.yaml", "url: " + hook + "\n", "", "1:6 1:39"},
		{"agent, behind another", "agents/a.yaml", "a: ${{ secrets.A }}\nurl: " + hook + "\nb: ${{ secrets.B }}\n", "A@1:4 B@3:4", "2:6 2:39"},
		{"channel", "formation.afs", "proactive:\n  channels:\n    slack: {url: \"${{ secrets.a-b }}\", other: \"${{ secrets.a-b }}\"}\n", "A_B@3:19", "3:48"},
		{"channels in a list", "formation.afs", "proactive:\n  channels:\n    - {name: x, url: \"${{ secrets.a-b }}\"}\n", "A_B@3:23", ""},
		{"channel of no formation", "agents/a.afs", "proactive: {channels: {slack: {url: \"${{ secrets.a-b }}\"}}}\n", "", "1:38"},
		{"a comment behind an apostrophe, no YAML", "formation.afs", "a: [\nb: it's so # ${{ secrets.A }}\nc: '#' ${{ secrets.B }}\n", "B@3:8", ""},
		{"formation that is no YAML", "formation.afs", "a: [\nproactive: ${{ secrets.a-b }}\n", "A_B@2:12", ""},

		{"trigger", "triggers/a.md", "---\nname: x\nwebhook: ${{ secrets.a-b }}\nother: ${{ secrets.c-d }}\n---\n${{ secrets.e-f }}\n", "A_B@3:10", "4:8 6:1"},
		{"trigger, a map", "triggers/a.md", "---\nwebhook:\n  # ours\n\n  url: ${{ secrets.a-b }}\nx: ${{ secrets.c }}\n---\n", "A_B@5:8 C@6:4~", ""},
		{"trigger, CRLF and BOM", "triggers/a.md", "\ufeff---\r\nwebhook: ${{ secrets.a-b }}\r\n---\r\n", "A_B@2:10", ""},
		{"trigger, front matter that ends in dots", "triggers/a.md", "---\nwebhook: ${{ secrets.a-b }}\n...\nwebhook: ${{ secrets.c-d }}\n---\n", "A_B@2:10", "4:10"},
		{"trigger without front matter", "triggers/a.md", "webhook: ${{ secrets.a-b }}\n", "", "1:10"},
		{"trigger, front matter left open", "triggers/a.md", "---\nwebhook: ${{ secrets.a-b }}\n", "", "2:10"},
		{"SOP", "sops/a.md", "---\nwebhook: ${{ secrets.a-b }}\n---\n", "", "2:10"},

		{"user credentials of a server", "mcp/a.afs", "auth: {token: \"${{ user.credentials.github }}\"}\n", "USER_CREDENTIALS_GITHUB@1:16u", ""},
		{"deeper", "mcps/a.afs", "auth:\n  headers: {X: \"${{ user.credentials.github }} more\"}\n", "USER_CREDENTIALS_GITHUB@2:17u", ""},
		{"not at the beginning", "mcp/a.afs", "auth: {token: \"Bearer ${{ user.credentials.github }}\"}\n", "USER_CREDENTIALS_GITHUB@1:23u~", ""},
		{"with a -", "mcp/a.afs", "auth: {token: \"${{ user.credentials.brave-search }}\"}\n", "USER_CREDENTIALS_BRAVE_SEARCH@1:16u~", ""},
		{"outside of auth", "mcp/a.afs", "env: {X: \"${{ user.credentials.github }}\"}\n", "USER_CREDENTIALS_GITHUB@1:11u~", ""},
		{"in a formation", "formation.afs", "mcp:\n  servers:\n    - auth: {token: \"${{ user.credentials.github }}\"}\n", "USER_CREDENTIALS_GITHUB@3:22u", ""},
		{"in an agent", "agents/a.afs", "mcp_servers:\n  - auth: {token: \"${{ user.credentials.github }}\"}\n", "USER_CREDENTIALS_GITHUB@2:20u", ""},
		{"of something else", "formation.afs", "a2a: {auth: {token: \"${{ user.credentials.github }}\"}}\n", "USER_CREDENTIALS_GITHUB@1:22u~", ""},
		{"JSON", "mcp/a.json", "{\"auth\": {\"token\": \"${{ user.credentials.github }}\", \"x\": \"a\\/b ${{ secrets.A }}\"}}", "USER_CREDENTIALS_GITHUB@1:21u A@1:65", ""},
	} {
		found := ReferencesIn(test.path, []byte(test.text))
		if got := describe(found.References); got != test.want {
			t.Errorf("%s: references %q, want %q", test.about, got, test.want)
		}
		if got := describeMalformed(found.Malformed); got != test.malformed {
			t.Errorf("%s: malformed %q, want %q", test.about, got, test.malformed)
		}
	}
}

func TestReferencesInText(t *testing.T) {
	text := "# Title ${{ secrets.A }}\n\n> é ${{ secrets.b }}\n\n    - ${{ user.credentials.c }}\n${{ secret.X }}\n" +
		"Write `${{ secrets.NAME` like ${{ secrets.D || '' }}.\n"
	want := "A@1:9 B@3:5~ USER_CREDENTIALS_C@5:7u~ D@7:31?"
	for _, path := range [...]string{"sops/a.md", "triggers/a.md", "skills/s/SKILL.md", "skills/s/run.py", "knowledge/a.txt"} {
		found := ReferencesIn(path, []byte(text))
		if got := describe(found.References); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if got := describeMalformed(found.Malformed); got != "6:1" {
			t.Errorf("%s: malformed %q", path, got)
		}
	}
	binary := ReferencesIn("skills/s/logo.png", append([]byte("\x89PNG\x00"), text...))
	if len(binary.References)+len(binary.Malformed) > 0 {
		t.Error("a binary file was searched")
	}
}

func TestMayRefer(t *testing.T) {
	for path, want := range map[string]bool{
		"formation.afs": true, "formation.yaml": true, "formation.yml": true, "other.afs": true, "deep/down/x.yml": true,
		"agents/a.afs": true, "agents/a.yaml": true, "mcp/a.yml": true, "mcps/a.afs": true, "a2a/a.afs": true,
		"groups/a.afs": true, "transformers/a.yaml": true,
		"sops/a.md": true, "sops/deep/a.md": true, "triggers/a.md": true, "skills/a/SKILL.md": true, "skills/a/x.sh": true,
		"knowledge/a.txt": true, "knowledge/deep/b": true,

		"README.md": false, "secrets": false, "secrets.enc": false, ".key": false, "agents/a.md": false, "agents/a.json": true, "mcp/a.json": true, "mcps/a.json": true, "a2a/a.json": true, "groups/a.json": true, "transformers/a.json": false, "other/a.json": false, "package.json": false,
		"sops/a.txt": false, "docs/sops/a.md": false, "formation.afs.bak": false, "agents/a.AFS": false,
		".github/workflows/ci.yml": false, ".github/x.afs": false, "skills/node_modules/x/a.yaml": false,
		".git/config.yaml": false, "venv/a.yaml": false,
	} {
		if got := MayRefer(path); got != want {
			t.Errorf("MayRefer(%q) = %t", path, got)
		}
	}
}

// A YAML file made to be expensive stays cheap.
func TestReferencesInHostileYAML(t *testing.T) {
	bomb := "a0: &a0 [\"${{ secrets.A }}\"]\n"
	for i := 1; i < 40; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1)
	}
	if got := describe(ReferencesIn("x.afs", []byte(bomb)).References); got != "A@1:11" {
		t.Errorf("alias bomb: %q", got)
	}
	deep := strings.Repeat("[", 20_000) + "\n\"${{ secrets.A }}\"\n"
	if found := ReferencesIn("x.afs", []byte(deep)); describe(found.References) != "A@2:2" || found.Broken == nil {
		t.Errorf("deep: %q, broken %t", describe(found.References), found.Broken != nil)
	}
	long := "a: \"${{ secrets.A }}\"\n" + strings.Repeat("# filling, filling, filling\n", maxYAML/28+1)
	if found := ReferencesIn("x.afs", []byte(long)); describe(found.References) != "A@1:5" || found.Broken == nil {
		t.Errorf("long: %q, broken %t", describe(found.References), found.Broken != nil)
	}
	open := strings.Repeat("${{ secrets.A ", 100_000)
	if found := ReferencesIn("skills/x", []byte(open)); len(found.References) != 0 {
		t.Errorf("never closed: %d references", len(found.References))
	}
	// Both decode to the mark that the search uses for A.
	twice := "a: ${{ secrets.A }}\nb: [\"${{ secrets.\\x4dUXIREF0X }}\", \"${{ secrets.\\x4dUXIREF0X }}\"]\n"
	claimed := map[int]bool{}
	for _, r := range ReferencesIn("x.afs", []byte(twice)).References {
		if r.end != 0 && claimed[r.start] {
			t.Error("two references claim the same bytes")
		}
		claimed[r.start] = true
	}
}

// modelSpace is \s of a Python str pattern.
const modelSpace = `[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]*`

// model is the slow and simple way: the runtime's pattern over the string
// values of the parsed file.
type model struct{ live, any *regexp.Regexp }

func newModel() model {
	return model{
		live: regexp.MustCompile(`\$\{\{` + modelSpace + `secrets\.([A-Z0-9_]+)` + modelSpace + `\}\}`),
		any:  regexp.MustCompile(`\$\{\{` + modelSpace + `(?:([sS][eE][cC][rR][eE][tT][sS])|[uU][sS][eE][rR]\.[cC][rR][eE][dD][eE][nN][tT][iI][aA][lL][sS])\.([A-Za-z0-9_]+)` + modelSpace + `\}\}`),
	}
}

// names returns what the runtime would replace, and what looks enough like a
// reference to keep a secret from being deleted; both by stored name, sorted.
func (m model) names(content []byte) (live, any []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("panic in the parser")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); err == io.EOF {
			slices.Sort(live)
			slices.Sort(any)
			return live, any, nil
		} else if err != nil {
			return nil, nil, err
		}
		m.walk(&document, func(value string) {
			for _, match := range m.live.FindAllStringSubmatch(value, -1) {
				if name := Normalize(match[1]); name != "" {
					live = append(live, name)
				}
			}
			for _, match := range m.any.FindAllStringSubmatch(value, -1) {
				name := Normalize(match[2])
				if match[1] == "" {
					name = Normalize("user_credentials_" + match[2])
				}
				if name != "" {
					any = append(any, name)
				}
			}
		})
	}
}

func (m model) walk(node *yaml.Node, yield func(string)) {
	if node.Kind == yaml.ScalarNode {
		yield(node.Value)
	}
	for i, child := range node.Content {
		if node.Kind != yaml.MappingNode || i%2 == 1 {
			m.walk(child, yield)
		}
	}
}

func FuzzReferencesInYAML(f *testing.F) {
	for _, seed := range [...]string{
		"a: ${{ secrets.A }}\n", "a: \"${{ secrets.A || '' }}\" # ${{ secrets.B }}\n", "'${{ secrets.A }}': [\"${{secrets.b}}\"]",
		"a: |\n  ${{\n  secrets.A\n  }}\n--- >-\n ${{ user.credentials.x }}", "a: \"\\x24{{ secrets.\\u0041 }}\"", "a: [${{ secrets.A }}",
		"\ufeffa: &x \"${{ secret.A ${{ secrets.B }}\"\r\nb: *x", "? ${{ secrets.A }}\n: !!str ${{ secrets.A }}",
	} {
		f.Add([]byte(seed))
	}
	m := newModel()
	f.Fuzz(func(t *testing.T, content []byte) {
		if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
			return // UTF-16, which the runtime does not read
		}
		if len(content) > 900 {
			return // where a mark's length decides whether a key has 1,024 characters at most
		}
		found := referencesInYAML("agents/x.afs", content)
		for _, r := range found.References {
			if r.Line < 1 || r.Column < 1 || r.Name == "" || r.end != 0 && string(content[r.start:r.end]) != r.Spelled {
				t.Fatalf("a reference at %d:%d, bytes %d to %d", r.Line, r.Column, r.start, r.end)
			}
		}
		wantLive, wantAny, err := m.names(content)
		if err != nil {
			if found.Broken == nil && bytes.Contains(content, []byte("${{")) {
				t.Fatal("no YAML, and not called broken")
			}
			return
		}
		if found.Broken != nil {
			t.Fatalf("YAML, and called broken: %v", found.Broken)
		}
		var live []string
		all := map[string]bool{}
		for _, r := range found.References {
			all[r.Name] = true
			if r.Live() && !r.User {
				live = append(live, r.Name)
			}
		}
		slices.Sort(live)
		if !slices.Equal(live, wantLive) {
			t.Fatalf("the runtime replaces %q, found %q", wantLive, live)
		}
		for _, name := range wantAny {
			if !all[name] {
				t.Fatalf("%s was not found", name)
			}
		}
	})
}

func TestInComment(t *testing.T) {
	for before, want := range map[string]bool{
		"": false, "# ": true, "a: b # ": true, "a: b\t# ": true, "a: b# ": false, "a: #": true,
		`a: "x # `: false, `a: "x" # `: true, `a: "x\" # `: false, `a: "x\\" # `: true, `a: "x\`: false,
		`a: 'x # `: false, `a: 'x\' # `: true, `a: 'it''s # `: false, `it's # `: true, `[a,"x # `: false, `{"x # `: false, `-'x # `: false,
	} {
		if got := inComment(before); got != want {
			t.Errorf("%s: %t", before, got)
		}
	}
}
