package doctor

import (
	"path"
	"slices"
	"strings"
)

// dockerfile is what a Dockerfile says that bears on a formation's files.
// buildkit's parser, the library made for it, comes with buildkit; what is
// wanted here is three instructions of a line-wise format.
type dockerfile struct {
	copies []dockerCopy
	user   string // of the last stage; "" where it says none
	line   int    // of that
}

// dockerCopy is one source of a COPY or ADD from the build context.
type dockerCopy struct {
	source string // as the file has it, below the context
	line   int    // 1-based
}

// isDockerfile reports whether a file is called like a Dockerfile.
func isDockerfile(base string) bool {
	name := strings.ToLower(base)
	if strings.HasSuffix(name, ".dockerignore") {
		return false
	}
	first, _, _ := strings.Cut(name, ".")
	return first == "dockerfile" || first == "containerfile" || strings.HasSuffix(name, ".dockerfile")
}

// parseDockerfile reads a Dockerfile (docs.docker.com/reference/dockerfile). It
// never fails: what it does not understand copies nothing. A stage that the last
// one takes nothing from is read like the rest, since its layers are kept.
func parseDockerfile(content []byte) *dockerfile {
	d := &dockerfile{}
	lines := strings.Split(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' {
			continue
		}

		at := i + 1
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			more := strings.TrimSpace(lines[i])
			if more == "" || strings.HasPrefix(more, "#") {
				continue // comments may stand between continued lines
			}
			line = strings.TrimSuffix(line, `\`) + " " + more
		}

		word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		switch strings.ToUpper(word) {
		case "FROM":
			d.user, d.line = "", 0
		case "USER":
			d.user, d.line = strings.TrimSpace(rest), at
		case "COPY", "ADD":
			d.copy(rest, at)
		}
	}
	return d
}

// copy takes in what stands behind COPY or ADD.
func (d *dockerfile) copy(rest string, line int) {
	rest = strings.TrimSpace(rest)
	for strings.HasPrefix(rest, "--") {
		flag, more, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(flag, "--from") {
			return // of another stage or image
		}
		rest = strings.TrimSpace(more)
	}

	var words []string
	if strings.HasPrefix(rest, "[") {
		for _, word := range strings.Split(strings.Trim(rest, "[]"), ",") {
			words = append(words, strings.Trim(strings.TrimSpace(word), `"`))
		}
	} else {
		words = strings.Fields(rest)
	}
	if len(words) < 2 {
		return
	}

	for _, source := range words[:len(words)-1] {
		if strings.HasPrefix(source, "<<") || strings.Contains(source, "://") || strings.HasPrefix(source, "git@") {
			continue
		}
		d.copies = append(d.copies, dockerCopy{source, line})
	}
}

// takes reports whether the source brings a file of the context (with /) along:
// by its own name, or with a folder around it. What a variable stands for is not
// known, and is taken for something else.
func (c dockerCopy) takes(file string) bool {
	source := path.Clean(strings.TrimLeft(c.source, "/"))
	return source == "." || matchParts(strings.Split(source, "/"), strings.Split(file, "/"))
}

// dockerIgnore is a .dockerignore.
type dockerIgnore struct{ patterns []ignorePattern }

type ignorePattern struct {
	parts []string
	keep  bool // !PATTERN
}

// parseDockerIgnore reads a .dockerignore
// (docs.docker.com/build/concepts/context/#dockerignore-files). Unlike in
// .gitignore, a name alone stands for that file at the top of the context, and
// for none below: it takes **/.key for a .key in any folder.
func parseDockerIgnore(content []byte) *dockerIgnore {
	d := &dockerIgnore{}
	for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) {
		if strings.HasPrefix(line, "#") {
			continue
		}

		line = strings.TrimSpace(line)
		keep := false
		if rest, ok := strings.CutPrefix(line, "!"); ok {
			keep, line = true, strings.TrimSpace(rest)
		}
		if line == "" {
			continue
		}
		line = strings.TrimPrefix(path.Clean(line), "/")
		d.patterns = append(d.patterns, ignorePattern{strings.Split(line, "/"), keep})
	}
	return d
}

// ignores reports whether a file of the context (with /) stays out of it. The
// last pattern that speaks of the file, or of a folder around it, decides.
func (d *dockerIgnore) ignores(file string) bool {
	ignored := false
	parts := strings.Split(file, "/")
	for _, p := range d.patterns {
		if p.keep == ignored && matchParts(p.parts, parts) {
			ignored = !p.keep
		}
	}
	return ignored
}

// matchParts reports whether pattern, a path by its parts, matches file or a
// folder around it. These are docker's patterns: those of path.Match for a part,
// and ** for any number of folders.
func matchParts(pattern, file []string) bool {
	// reach[i] says that the pattern so far matches the first i parts.
	reach := make([]bool, len(file)+1)
	reach[0] = true
	for _, part := range pattern {
		next := make([]bool, len(file)+1)
		for i, ok := range reach {
			switch {
			case !ok:
			case part == "**":
				for j := i; j <= len(file); j++ {
					next[j] = true
				}
			case i < len(file):
				match, err := path.Match(part, file[i])
				next[i+1] = next[i+1] || err == nil && match
			}
		}
		reach = next
	}
	return slices.Contains(reach[1:], true)
}
