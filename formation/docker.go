package formation

import (
	"path"
	"strings"
)

// Dockerfile is what a Dockerfile says that bears on a formation's files.
// buildkit's parser, the library made for it, comes with buildkit; what is
// wanted here is three instructions of a line-wise format.
type Dockerfile struct {
	Copies []DockerCopy
	User   string // of the last stage; "" where it says none
	Line   int    // of that
}

// DockerCopy is one source of a COPY or ADD from the build context.
type DockerCopy struct {
	Source string // as the file has it, below the context
	Target string // as the file has it
	Line   int    // 1-based
}

// IsDockerfile reports whether a file is called like a Dockerfile.
func IsDockerfile(base string) bool {
	name := strings.ToLower(base)
	return name == "dockerfile" || name == "containerfile" || strings.HasSuffix(name, ".dockerfile") ||
		strings.HasPrefix(base, "Dockerfile.") && !strings.HasSuffix(name, ".dockerignore") ||
		strings.HasPrefix(base, "Containerfile.") && !strings.HasSuffix(name, ".dockerignore")
}

// ParseDockerfile reads a Dockerfile (docs.docker.com/reference/dockerfile). It
// never fails: what it does not understand copies nothing. A stage that the last
// one takes nothing from is read like the rest, since its layers are kept.
func ParseDockerfile(content []byte) *Dockerfile {
	d := &Dockerfile{}
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
		for _, mark := range heredocs(rest) {
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != mark; i++ {
			}
		}
		switch strings.ToUpper(word) {
		case "FROM":
			d.User, d.Line = "", 0
		case "USER":
			d.User, d.Line = strings.TrimSpace(rest), at
		case "COPY", "ADD":
			d.copies(rest, at)
		}
	}
	return d
}

// heredocs gives the marks that end the texts which begin on the next lines.
func heredocs(rest string) []string {
	var marks []string
	for _, word := range strings.Fields(rest) {
		if mark, ok := strings.CutPrefix(word, "<<"); ok {
			if mark = strings.Trim(strings.TrimPrefix(mark, "-"), `"'`); mark != "" {
				marks = append(marks, mark)
			}
		}
	}
	return marks
}

func (d *Dockerfile) copies(rest string, line int) {
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
	target := words[len(words)-1]
	for _, source := range words[:len(words)-1] {
		if strings.HasPrefix(source, "<<") || strings.Contains(source, "://") || strings.HasPrefix(source, "git@") {
			continue
		}
		d.Copies = append(d.Copies, DockerCopy{source, target, line})
	}
}

// Takes reports whether the source brings a file of the context (with /) along:
// by its own name, or with a folder around it. What a variable stands for is not
// known, and is taken for something else.
func (c DockerCopy) Takes(file string) bool {
	source := path.Clean(strings.TrimLeft(c.Source, "/"))
	if source == "." {
		return true
	}
	parts := strings.Split(file, "/")
	for n := len(parts); n > 0; n-- {
		if ok, err := path.Match(source, strings.Join(parts[:n], "/")); err == nil && ok {
			return true
		}
	}
	return false
}

// DockerIgnore is a .dockerignore.
type DockerIgnore struct{ patterns []ignorePattern }

type ignorePattern struct {
	parts []string
	keep  bool // !PATTERN
}

// ParseDockerIgnore reads a .dockerignore
// (docs.docker.com/build/concepts/context/#dockerignore-files). Unlike in
// .gitignore, a name alone stands for that file at the top of the context, and
// for none below: it takes **/.key for a .key in any folder.
func ParseDockerIgnore(content []byte) *DockerIgnore {
	d := &DockerIgnore{}
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

// Ignores reports whether a file of the context (with /) stays out of it. The
// last pattern that speaks of the file, or of a folder around it, decides.
func (d *DockerIgnore) Ignores(file string) bool {
	ignored := false
	parts := strings.Split(file, "/")
	for _, p := range d.patterns {
		if p.keep != ignored {
			continue
		}
		if matchParts(p.parts, parts) {
			ignored = !p.keep
		}
	}
	return ignored
}
