package doctor

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// image is a Dockerfile with the folder that it is built from.
type image struct {
	*dockerfile
	file, dir  string
	ignore     *dockerIgnore
	ignoreFile string
}

// images pairs Dockerfiles with their contexts: what a compose file says, else
// the Dockerfile's own folder, or the top of the repository where only that has
// what it copies.
func (d *doctor) images(files []string, projects []*project) []*image {
	var all []*image
	add := func(file, dir string) {
		if slices.ContainsFunc(all, func(m *image) bool { return m.file == file && m.dir == dir }) {
			return
		}
		content, err := read(file)
		if err != nil {
			return
		}
		m := &image{dockerfile: parseDockerfile(content), file: file, dir: dir, ignoreFile: file + ".dockerignore"}
		text, err := read(m.ignoreFile)
		if err != nil {
			m.ignoreFile = filepath.Join(dir, ".dockerignore")
			text, _ = read(m.ignoreFile)
		}
		m.ignore = parseDockerIgnore(text)
		all = append(all, m)
	}

	for _, p := range projects {
		for _, s := range p.services {
			if s.Build != nil && !strings.Contains(s.Build.Context, "://") {
				add(p.dockerfile(s.Build))
			}
		}
	}
	for _, file := range files {
		file = paths.Real(file)
		if slices.ContainsFunc(all, func(m *image) bool { return m.file == file }) {
			continue
		}
		dir := filepath.Dir(file)
		if d.builtFromTop(file) {
			dir = paths.Real(d.Layout.Top)
		}
		add(file, dir)
	}
	return all
}

// builtFromTop reports whether only the top of the repository has what a
// Dockerfile copies.
func (d *doctor) builtFromTop(file string) bool {
	content, err := read(file)
	if err != nil || d.Layout.Top == "" {
		return false
	}
	return slices.ContainsFunc(parseDockerfile(content).copies, func(c dockerCopy) bool {
		source := filepath.FromSlash(c.source)
		return !paths.There(filepath.Join(filepath.Dir(file), source)) && paths.There(filepath.Join(d.Layout.Top, source))
	})
}

// dockerfile is what a service's image is built by, and the context.
func (p *project) dockerfile(b *build) (file, dir string) {
	dir = p.path(b.Context)
	file = filepath.FromSlash(p.fill(b.Dockerfile))
	if file == "" {
		file = "Dockerfile"
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	return paths.Real(file), dir
}

// image is what a service's image is built as; nil for one from elsewhere.
func (p *project) image(s *service) *image {
	if s.Build == nil {
		return nil
	}
	file, dir := p.dockerfile(s.Build)
	i := slices.IndexFunc(p.images, func(m *image) bool { return m.file == file && m.dir == dir })
	if i < 0 {
		return nil
	}
	return p.images[i]
}

// find is where a file of a formation is in the context, with /.
func (m *image) find(pt *patient, name string) (rel string, ok bool) {
	rel, ok = paths.Below(m.dir, pt.real)
	return path.Join(rel, name), ok
}

// takes is the line that copies a file of the context into the image; 0 for none.
func (m *image) takes(rel string) int {
	i := slices.IndexFunc(m.copies, func(c dockerCopy) bool { return c.takes(rel) })
	if i < 0 || m.ignore.ignores(rel) {
		return 0
	}
	return m.copies[i].line
}

// keyInImages judges whether a key would end in an image, or in a builder's
// hands.
func (d *doctor) keyInImages(pt *patient, images []*image) {
	vault, err := pt.HasVault()
	if err != nil || !vault && !paths.There(pt.Path(formation.KeyFile)) {
		return
	}
	for _, m := range images {
		rel, ok := m.find(pt, formation.KeyFile)
		if !ok || m.ignore.ignores(rel) {
			continue
		}
		state, at, what := Warn, place{m.file, 1}, "the builder is given %s with its context"
		if line := m.takes(rel); line > 0 {
			state, at.line, what = Fail, line, "%s is copied into the image, where everybody who has the image can read it"
		}
		c := d.say(pt, "docker-context", state, pt.on+" doctor --fix", "%s: "+what+": '%s' does not keep it out", d.at(at), formation.KeyFile, d.Show(m.ignoreFile))
		c.Repair, c.File = IgnoreKey, m.ignoreFile
	}
}

// KeyIgnored reports whether a .dockerignore of this content keeps the keys of
// all folders out.
func KeyIgnored(content []byte) bool {
	ignore := parseDockerIgnore(content)
	return ignore.ignores(formation.KeyFile) && ignore.ignores("a/"+formation.KeyFile) && ignore.ignores("a/b/"+formation.KeyFile)
}
