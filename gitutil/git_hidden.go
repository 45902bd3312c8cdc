package gitutil

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

func (g *gitRepo) SetAside(ctx context.Context) (bool, error) {
	aside, err := g.stashedJustNow(ctx)
	if aside || err != nil {
		return aside, err
	}

	for _, dir := range [...]string{g.layout.GitDir, filepath.Join(g.layout.CommonDir, "info")} {
		patches, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.patch"))
		for _, patch := range patches {
			if info, err := os.Stat(patch); err != nil || info.Size() == 0 {
				continue
			}
			// One that was left behind, and is of other content, does not apply.
			if _, err := g.output(ctx, nil, "apply", "--check", "--recount", "--unidiff-zero", "--whitespace=nowarn", patch); err == nil {
				return true, nil
			}
		}
	}
	return false, ctx.Err()
}

// stashedJustNow reports whether the topmost stash was made of what is here: of this
// HEAD and this index, with more than that in the work tree.
func (g *gitRepo) stashedJustNow(ctx context.Context) (bool, error) {
	const asked = "refs/stash^1\nHEAD^{commit}\nrefs/stash^2^{tree}\nrefs/stash^{tree}\n"
	out, err := g.output(ctx, []byte(asked), "cat-file", "--batch-check=%(objectname)")
	if err != nil {
		return false, err
	}
	ids := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(ids) != 4 || !isObjectID(ids[0]) || ids[0] != ids[1] || !isObjectID(ids[2]) || ids[2] == ids[3] {
		return false, nil
	}

	_, err = g.output(ctx, nil, "diff-index", "--cached", "--quiet", "--ignore-submodules=none", ids[2], "--")
	if exitCode(err) == 1 {
		return false, nil
	}
	return err == nil, err
}

// escapeGlob has filepath.Glob take a folder's name as it is.
func escapeGlob(dir string) string {
	if filepath.Separator == '\\' {
		return dir // no escape there, and no such names
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
