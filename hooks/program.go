package hooks

import (
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// findProgram is the shell text by which hooks and drivers find this program: by
// its name on PATH, else where it was when it set them up, since a graphical client
// often has a shorter PATH. programFound asks whether that came to something.
func findProgram(program, separator string) string {
	return "program=git-muxi-secrets" + separator + programFound + programElse + paths.QuoteAlways(program)
}

const (
	programFound = `command -v "$program" >/dev/null 2>&1`
	programElse  = ` || program=`
)

// programIn is the path in a text of findProgram's, with what stands behind it; ok
// is false where there is none.
func programIn(text, behind string) (program string, ok bool) {
	_, rest, _ := strings.Cut(text, programElse+"'")
	program, _, ok = strings.Cut(rest, "'"+behind)
	return strings.ReplaceAll(program, `'\''`, "'"), ok
}
