package gitutil

import (
	"fmt"
	"sort"
	"strings"
)

func sortStrings(s []string) { sort.Strings(s) }

func blobLine(path, data string) string { return fmt.Sprintf("100644 %q %q", path, data) }

func bits(b []bool) string {
	out := make([]string, len(b))
	for i, v := range b {
		out[i] = "0"
		if v {
			out[i] = "1"
		}
	}
	return strings.Join(out, " ")
}
