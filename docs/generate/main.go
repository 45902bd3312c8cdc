// generate makes the man pages of the Markdown in docs/man: 'go generate ./docs'.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

func main() {
	if err := run("man"); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run converts every page of dir and removes those whose Markdown is gone.
func run(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.[17]"))
	if err != nil {
		return err
	}
	for _, page := range old {
		if _, err := os.Stat(page + ".md"); os.IsNotExist(err) {
			if err := os.Remove(page); err != nil {
				return err
			}
		}
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return err
	}
	for _, source := range sources {
		markdown, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		page := strings.TrimSuffix(source, ".md")
		if err := os.WriteFile(page, convert(filepath.Base(source), markdown), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// convert makes a page for man(1) of Markdown. name is the Markdown's file.
//
// The signs that a shell needs are spelled out: in a terminal, troff sets - as
// a hyphen and ' as a quotation mark, and what is copied from there fails.
func convert(name string, markdown []byte) []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, ".\\\" git-muxi-secrets: made of docs/man/%s by 'go generate ./docs'\n", name)
	signs := strings.NewReplacer(`\-`, `\-`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)
	for line := range strings.Lines(string(md2man.Render(markdown))) {
		if !strings.HasPrefix(line, ".") {
			line = whole(signs.Replace(line))
		}
		page.WriteString(line)
		if strings.HasPrefix(line, ".TH ") {
			// No command is hyphenated, in no section.
			page.WriteString(".nr HY 0\n.hy 0\n.ad l\n")
		}
	}
	return page.Bytes()
}

// whole keeps references to secrets on one line.
func whole(line string) string {
	before, rest, ok := strings.Cut(line, "${{ ")
	if !ok {
		return line
	}
	inside, after, ok := strings.Cut(rest, " }}")
	if !ok {
		return line
	}
	return before + `${{\~` + strings.ReplaceAll(inside, " ", `\~`) + `\~}}` + whole(after)
}
