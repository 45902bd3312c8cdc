package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page is made of the table as it is. What other programs and networks say is
// as old as the page.
func TestPageIsCurrent(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "detection.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(content), "\r\n", "\n")

	all := measure()
	if testing.Short() {
		all = all[:40]
	}
	for _, r := range all {
		if !strings.Contains(page, "\n"+r.ownRow()+" ") {
			t.Errorf("not in docs/detection.md, run 'go run ./testdata/detection': %s", r.ownRow())
		}
	}
	if !strings.Contains(page, named()) {
		t.Error("the vendors' variables in docs/detection.md are others, run 'go run ./testdata/detection'")
	}
}

// Every form is found in every place.
func TestEveryFormIsFoundEverywhere(t *testing.T) {
	for _, r := range measure() {
		least := keysOfForm * len(places)
		switch last := string(r.format.Form[strings.LastIndexByte(string(r.format.Form), ' ')+1:]); {
		case r.format.Weak:
			least = least * 9 / 10
		case last[0] == 'b', last[0] == 'e': // one may have a + or / at every turn
			least = least * 3 / 4
		}
		if r.line < least || r.field < keysOfForm {
			t.Errorf("%s: %d in lines, %d in fields", r.format.Name, r.line, r.field)
		}
	}
}
