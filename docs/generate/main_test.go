package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPagesAreCurrent: what is committed, and so embedded, is made of the
// Markdown beside it.
func TestPagesAreCurrent(t *testing.T) {
	dir := filepath.Join("..", "man")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sources := 0
	for _, entry := range entries {
		name := entry.Name()
		source, isSource := strings.CutSuffix(name, ".md")
		if !isSource {
			if _, err := os.Stat(filepath.Join(dir, name+".md")); err != nil {
				t.Errorf("docs/man/%s has no Markdown; 'go generate ./docs' removes it", name)
			}
			continue
		}
		sources++
		markdown, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(dir, source))
		if err != nil {
			t.Errorf("%v; 'go generate ./docs' makes it", err)
			continue
		}
		if !bytes.Equal(page, convert(name, markdown)) {
			t.Errorf("docs/man/%s is stale: 'go generate ./docs' brings it up to date", source)
		}
	}
	if sources < 20 {
		t.Errorf("%d pages only", sources)
	}
}

func TestConvert(t *testing.T) {
	page := string(convert("x.1.md", []byte("# X 1 \"\" \"a\" \"b\"\n\n## NAME\n\nx - does it\n\n## EXAMPLES\n\n    x --flag 'a' ~/b `c` ^d\n\nWrite `${{ secrets.A || '' }}` there.\n")))
	for _, want := range []string{
		".\\\" git-muxi-secrets: made of docs/man/x.1.md",
		"\n.TH X 1",
		"\n.SH EXAMPLES\n",
		`x \- does it`,
		`x \-\-flag \(aqa\(aq \(ti/b \(gac\(ga \(had`,
		`\fB${{\~secrets.A\~||\~\(aq\(aq\~}}\fR`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, `\\-`) {
		t.Errorf("an escape is escaped:\n%s", page)
	}
}
