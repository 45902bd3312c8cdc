package commands

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/docs"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
	"github.com/urfave/cli/v2"
)

// page is the Markdown of a man page.
type page struct {
	name     string
	text     string
	sections map[string]string // by heading
}

func readPages(t *testing.T) map[string]page {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "docs", "man", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages := map[string]page{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(file)
		p := page{name: base[:len(base)-len(".1.md")], text: string(content), sections: map[string]string{}}
		for _, part := range strings.Split(p.text, "\n## ")[1:] {
			heading, body, _ := strings.Cut(part, "\n")
			p.sections[heading] = body
		}
		pages[p.name] = p
	}
	return pages
}

// terms lists the terms of the definition lists in text.
func terms(text string) []string {
	var list []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if i > 0 && strings.HasPrefix(line, ": ") {
			list = append(list, lines[i-1])
		}
	}
	return list
}

// bold lists what is bold in a term.
func bold(term string) []string {
	var list []string
	for _, found := range regexp.MustCompile(`\*\*(.+?)\*\*`).FindAllStringSubmatch(term, -1) {
		list = append(list, found[1])
	}
	return list
}

func testApp() *cli.App {
	return (&runner{ctx: context.Background(), env: &Env{Out: io.Discard, Err: io.Discard}}).app()
}

// ownFlags lists the flags of a command that not every command has, dashed.
func ownFlags(flags []cli.Flag) []string {
	var list []string
	for _, flag := range flags {
		if name := flag.Names()[0]; name == "help" || flagNamed(commonFlags(), name) != nil {
			continue
		}
		for _, name := range flag.Names() {
			list = append(list, dashed(name))
		}
	}
	slices.Sort(list)
	return list
}

func flagsIn(section string) []string {
	var list []string
	for _, term := range terms(section) {
		list = append(list, bold(term)...)
	}
	slices.Sort(list)
	return list
}

// TestManPagesNameEverything: each command has a page that says what -h says,
// with its flags, all of them and no other.
func TestManPagesNameEverything(t *testing.T) {
	pages := readPages(t)
	seen := map[string]bool{"git-muxi-secrets": true, "gitmuxi-secrets-guide": true}
	for _, c := range testApp().Commands {
		if c.Hidden {
			if !strings.Contains(pages["git-muxi-secrets"].sections["PLUMBING"], "`"+c.Name+"`") {
				t.Errorf("%s is not under PLUMBING", c.Name)
			}
			continue
		}
		name := "git-muxi-secrets-" + c.Name
		p, ok := pages[name]
		if !ok {
			t.Errorf("there is no docs/man/%s.1.md", name)
			continue
		}
		seen[name] = true
		if want := name + " - " + c.Usage; strings.TrimSpace(p.sections["NAME"]) != want {
			t.Errorf("%s: NAME is not %q", name, want)
		}
		var synopsis strings.Builder
		line := func(c *cli.Command, words string) {
			synopsis.WriteString(strings.TrimRight("    git muxi-secrets "+words+" "+c.UsageText, " ") + "\n")
		}
		if len(c.Subcommands) == 0 {
			line(c, c.Name)
			if got, want := flagsIn(p.sections["OPTIONS"]), ownFlags(c.Flags); !slices.Equal(got, want) {
				t.Errorf("%s: OPTIONS has %q, the command %q", name, got, want)
			}
		}
		parts := map[string]string{}
		for _, part := range strings.Split(p.sections["OPTIONS"], "\n### ")[1:] {
			heading, body, _ := strings.Cut(part, "\n")
			parts[heading] = body
		}
		for _, sub := range c.Subcommands {
			words := c.Name + " " + sub.Name
			line(sub, words)
			if got, want := flagsIn(parts[words]), ownFlags(sub.Flags); !slices.Equal(got, want) {
				t.Errorf("%s: OPTIONS of '%s' has %q, the command %q", name, words, got, want)
			}
			delete(parts, words)
		}
		if len(c.Subcommands) > 0 && len(parts) > 0 {
			t.Errorf("%s: OPTIONS has parts for no command: %v", name, parts)
		}
		if got := strings.TrimLeft(p.sections["SYNOPSIS"], "\n"); got != synopsis.String() {
			t.Errorf("%s: SYNOPSIS is\n%swant\n%s", name, got, synopsis.String())
		}
		if !strings.Contains(p.sections["EXAMPLES"], "    git muxi-secrets "+c.Name) && !strings.Contains(p.sections["EXAMPLES"], "git muxi-secrets ") {
			t.Errorf("%s has no example", name)
		}
		if !strings.Contains(pages["git-muxi-secrets"].sections["COMMANDS"], "**"+name+"**(1)") {
			t.Errorf("%s is not in git-muxi-secrets(1)", name)
		}
	}
	for name := range pages {
		if !seen[name] {
			t.Errorf("docs/man has a page on no command: %s", name)
		}
	}
	overview := pages["git-muxi-secrets"]
	app := testApp()
	want := []string{"--help", "-h"}
	for _, flag := range app.Flags {
		for _, name := range flag.Names() {
			want = append(want, dashed(name))
		}
	}
	slices.Sort(want)
	if got := flagsIn(overview.sections["OPTIONS"]); !slices.Equal(got, slices.Compact(want)) {
		t.Errorf("git-muxi-secrets(1): OPTIONS has %q, the program %q", got, want)
	}
}

func TestManPagesNameRulesAndCodes(t *testing.T) {
	overview := readPages(t)["git-muxi-secrets"]
	var rules []string
	for _, rule := range scan.Rules() {
		rules = append(rules, "**"+string(rule)+"** ("+string(rule.Severity())+")")
	}
	if got := terms(overview.sections["RULES"]); !slices.Equal(got, rules) {
		t.Errorf("RULES has %q, want %q", got, rules)
	}
	var codes []string
	for _, code := range []int{exitDone, exitNo, exitUsage, exitFailed, exitNoKey, exitInterrupted} {
		codes = append(codes, "**"+strconv.Itoa(code)+"**")
	}
	if got := terms(overview.sections["EXIT STATUS"]); !slices.Equal(got, codes) {
		t.Errorf("EXIT STATUS has %q, want %q", got, codes)
	}
	settings := []string{identityConfig, pullConfig, pushConfig, judge.MaxAgeConfig}
	for _, driver := range hooks.Drivers("") {
		if !strings.HasSuffix(driver.Key, ".name") {
			settings = append(settings, driver.Key)
		}
	}
	got := flagsIn(overview.sections["CONFIGURATION"])
	slices.Sort(settings)
	if !slices.Equal(got, settings) {
		t.Errorf("CONFIGURATION has %q, want %q", got, settings)
	}
	for name, p := range readPages(t) {
		for _, number := range regexp.MustCompile(`\b\d+\b`).FindAllString(p.sections["EXIT STATUS"], -1) {
			if !slices.Contains(codes, "**"+number+"**") {
				t.Errorf("%s: EXIT STATUS speaks of %s", name, number)
			}
		}
		for _, found := range regexp.MustCompile("(?:rules? `|rule: )([a-z-]+)").FindAllStringSubmatch(p.text, -1) {
			if !slices.Contains(scan.Rules(), scan.Rule(found[1])) {
				t.Errorf("%s names a rule that does not exist: %s", name, found[1])
			}
		}
	}
}

// TestManPagesNameNothingElse: every command line of ours in a page, and every
// flag, is one that exists.
func TestManPagesNameNothingElse(t *testing.T) {
	app := testApp()
	every := map[string]bool{}
	var gather func(flags []cli.Flag, commands []*cli.Command)
	gather = func(flags []cli.Flag, commands []*cli.Command) {
		for _, name := range append(ownFlags(flags), "--help", "-h") {
			every[name] = true
		}
		for _, c := range commands {
			gather(c.Flags, c.Subcommands)
		}
	}
	gather(app.Flags, app.Commands)
	for _, flag := range commonFlags() {
		for _, name := range flag.Names() {
			every[dashed(name)] = true
		}
	}
	lines := 0
	for name, p := range readPages(t) {
		var code []string
		for _, span := range regexp.MustCompile("`[^`]+`").FindAllString(p.text, -1) {
			code = append(code, strings.Join(strings.Fields(strings.Trim(span, "`")), " "))
		}
		for _, line := range strings.Split(p.text, "\n") {
			if strings.HasPrefix(line, "    ") {
				code = append(code, line)
			}
		}
		for _, text := range code {
			if strings.HasPrefix(text, "-") {
				flag, _, _ := strings.Cut(strings.Fields(text)[0], "=")
				if len(strings.Trim(flag, "-")) > 0 && !every[flag] {
					t.Errorf("%s: there is no flag %s", name, flag)
				}
			}
			for _, call := range regexp.MustCompile(`(?:git |git-)muxi-secrets( [^|;&#']*)`).FindAllStringSubmatch(text, -1) {
				if problem := wrongCall(app, strings.Fields(call[1])); problem != "" {
					t.Errorf("%s: %q: %s", name, text, problem)
				}
				lines++
			}
		}
	}
	if lines < 100 {
		t.Errorf("only %d command lines were looked at", lines)
	}
}

// wrongCall says what a command line names that does not exist.
func wrongCall(app *cli.App, words []string) string {
	flags, list := app.Flags, app.Commands
	taken := false
	for i := 0; i < len(words); i++ {
		word := strings.Trim(words[i], "[](),")
		switch {
		case word == "" || word == "-" || word == "--":
		case word == ">" || word == "<" || word == `\`:
			return ""
		case strings.HasPrefix(word, "-"):
			name, _, _ := strings.Cut(word, "=")
			name, _, _ = strings.Cut(name, "[")
			if flagNamed(flags, strings.TrimLeft(name, "-")) == nil && name != "-h" && name != "--help" {
				return "no flag " + name
			}
			if takesNext(flags, word) {
				i++
			}
		case taken && len(list) == 0:
		case word == strings.ToUpper(word): // COMMAND
			taken, list = true, nil
		default:
			c := commandNamed(list, word)
			if c == nil {
				return "no command " + word
			}
			flags, list, taken = c.Flags, c.Subcommands, true
		}
	}
	return ""
}

// TestHelpBeginsWithAnExample of a real command line.
func TestHelpBeginsWithAnExample(t *testing.T) {
	app := testApp()
	var walk func(commands []*cli.Command)
	walk = func(commands []*cli.Command) {
		for _, c := range commands {
			example, _, _ := strings.Cut(c.Description, "\n\n")
			if !strings.HasPrefix(example, "   ") || !strings.Contains(example, "git muxi-secrets") {
				t.Errorf("%s -h begins with %q", c.Name, example)
			}
			for _, call := range regexp.MustCompile(`git muxi-secrets( [^|;&#'">]*?)(?:   |\n|$|[|;&>"])`).FindAllStringSubmatch(example, -1) {
				if problem := wrongCall(app, strings.Fields(call[1])); problem != "" {
					t.Errorf("%s -h: %q: %s", c.Name, call[0], problem)
				}
			}
			walk(c.Subcommands)
		}
	}
	walk(app.Commands)
}

// TestPagesAreEmbedded: all of them, each with the mark by which uninstalling
// knows it, and readable without man.
func TestPagesAreEmbedded(t *testing.T) {
	pages := docs.Pages()
	if got, want := len(pages), len(readPages(t)); got != want {
		t.Errorf("%d of %d pages are embedded; 'go generate ./docs' makes the others", got, want)
	}
	for _, p := range pages {
		if !strings.HasPrefix(string(p.Roff), pageMark) {
			t.Errorf("%s does not begin with the mark", p.Name)
		}
		text := plainPage(p.Roff)
		if !strings.HasPrefix(text, "NAME\n       "+p.Name+" - ") {
			t.Errorf("%s begins with %q", p.Name, text[:min(60, len(text))])
		}
		if found := regexp.MustCompile(`(?m)\\f[BIPR]|\\\(|\\&|\\-|^\.[A-Z]{2}|\x1f`).FindString(text); found != "" {
			t.Errorf("%s has markup left in its plain text: %q", p.Name, found)
		}
		for line := range strings.Lines(text) {
			if len([]rune(line)) > manWidth+1 && !strings.HasPrefix(line, "           ") {
				t.Errorf("%s: a line is too wide: %q", p.Name, line)
			}
		}
	}
}
