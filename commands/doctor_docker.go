package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// project is what `docker compose up` in one folder would start.
type project struct {
	dir    string
	file   string // the compose file; an override joins it
	lookup func(string) (string, bool)
	*formation.Compose
	said bool // that perhaps something is not mounted
}

// dockerFiles are the files that docker would read, of the whole repository.
type dockerFiles struct {
	compose     []string // docker compose finds these by itself
	more        []string // overrides, and those that are named with -f
	dockerfiles []string
}

// maxDockerFolders bounds the search on a folder that is no project.
const maxDockerFolders = 20_000

// docker examines compose files and Dockerfiles.
func (d *doctor) docker(ctx context.Context) {
	files := d.dockerFiles()
	var projects []*project
	parsed := map[string]*formation.Compose{}
	for _, file := range slices.Concat(files.compose, files.more) {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		compose, err := formation.ParseCompose(content)
		if err != nil {
			if _, ok := formation.IsComposeFile(filepath.Base(file)); ok {
				d.say(nil, "compose", fails, d.edit(file, 1), "%s is no valid YAML: %v", d.s.show(file), err)
			}
			continue // perhaps a template of somebody's
		}
		parsed[file] = compose
		p := &project{dir: filepath.Dir(file), file: file, Compose: compose}
		p.lookup = d.variables(p.dir)
		for _, base := range files.compose {
			if filepath.Dir(base) == p.dir && base != file && parsed[base] != nil {
				p.Compose = compose.WithImages(parsed[base])
				break
			}
		}
		d.environment(p, content)
		d.envFiles(p)
	}
	taken := map[string]bool{}
	for _, file := range files.compose { // in the order of docker compose's preference
		dir := filepath.Dir(file)
		if parsed[file] == nil || taken[dir] {
			continue
		}
		taken[dir] = true
		p := &project{dir: dir, file: file, lookup: d.variables(dir), Compose: parsed[file]}
		for _, over := range files.more {
			if override, _ := formation.IsComposeFile(filepath.Base(over)); override && filepath.Dir(over) == dir && parsed[over] != nil {
				p.Override(parsed[over])
				break
			}
		}
		projects = append(projects, p)
	}
	contexts := d.contexts(files.dockerfiles, projects)
	users := sync.OnceValue(func() usernamespace { return d.namespace(ctx) }) // asked where it matters
	for _, pt := range d.patients {
		d.images(pt, contexts)
		for _, p := range projects {
			d.mounts(pt, p, contexts, users)
		}
	}
}

// dockerFiles finds them: in the repository, or around the formations.
func (d *doctor) dockerFiles() dockerFiles {
	var files dockerFiles
	take := func(file string) {
		base := filepath.Base(file)
		override, ok := formation.IsComposeFile(base)
		switch {
		case ok && !override:
			files.compose = append(files.compose, file)
		case ok, formation.LooksLikeCompose(base):
			files.more = append(files.more, file)
		case formation.IsDockerfile(base):
			files.dockerfiles = append(files.dockerfiles, file)
		}
	}
	walk := func(root string) {
		seen := 0
		filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // a search is no place to fail
			case !entry.IsDir():
				if entry.Type().IsRegular() || entry.Type()&fs.ModeSymlink != 0 {
					take(file)
				}
			case file != root && skippedByDocker(entry.Name()):
				return fs.SkipDir
			default:
				if seen++; seen > maxDockerFolders {
					return fs.SkipAll
				}
			}
			return nil
		})
	}
	if layout, ok := d.s.where(); ok && layout.Top != "" {
		walk(layout.Top)
	} else {
		// Compose files lie above the formations, mostly in the next two folders.
		done := map[string]bool{}
		for _, p := range d.patients {
			walk(p.Dir)
			for up, dir := 0, filepath.Dir(p.Dir); up < 3; up, dir = up+1, filepath.Dir(dir) {
				entries, err := os.ReadDir(dir)
				if err != nil || done[dir] {
					break
				}
				done[dir] = true
				for _, entry := range entries {
					if !entry.IsDir() {
						take(filepath.Join(dir, entry.Name()))
					}
				}
			}
		}
	}
	prefer := []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
	slices.SortStableFunc(files.compose, func(a, b string) int {
		return slices.Index(prefer, filepath.Base(a)) - slices.Index(prefer, filepath.Base(b))
	})
	files.compose, files.more = once(files.compose), once(files.more)
	files.dockerfiles = once(files.dockerfiles)
	return files
}

func once(all []string) []string {
	var kept []string
	for _, one := range all {
		if !slices.Contains(kept, one) {
			kept = append(kept, one)
		}
	}
	return kept
}

// skippedByDocker names folders in which compose files are somebody else's.
func skippedByDocker(name string) bool {
	switch name {
	case ".git", "node_modules", "vendor", ".venv", "venv", "__pycache__", ".cache":
		return true
	}
	return false
}

// variables is what ${NAME} stands for in a project: the environment, then the
// .env beside the compose file.
func (d *doctor) variables(dir string) func(string) (string, bool) {
	beside := map[string]string{}
	if content, err := os.ReadFile(filepath.Join(dir, ".env")); err == nil {
		if list, err := formation.ParseDotenv(content); err == nil {
			for _, a := range list {
				beside[a.Spelled] = a.Value
			}
		}
	}
	return func(name string) (string, bool) {
		if value := d.s.Getenv(name); value != "" {
			return value, true
		}
		value, ok := beside[name]
		return value, ok
	}
}

func (p *project) fill(text string) string { return formation.Interpolate(text, p.lookup) }

// path is a path of the host as a compose file has it.
func (p *project) path(d *doctor, text string) string {
	text = filepath.FromSlash(p.fill(text))
	if rest, ok := strings.CutPrefix(text, "~"); ok && (rest == "" || rest[0] == filepath.Separator) {
		text = filepath.Join(d.s.Getenv("HOME"), rest)
	}
	if !filepath.IsAbs(text) {
		text = filepath.Join(p.dir, text)
	}
	return realDir(filepath.Clean(text))
}

// isOther reports whether a service is a program that is known to be none of
// MUXI's: a database, a cache, a proxy.
func (p *project) isOther(s *formation.ComposeService) bool {
	image := p.fill(s.Image)
	image = image[strings.LastIndexByte(image, '/')+1:]
	image, _, _ = strings.Cut(image, ":")
	image, _, _ = strings.Cut(image, "@")
	for _, name := range [...]string{"postgres", "pgvector", "timescale", "mysql", "mariadb", "mongo", "redis", "valkey", "memcached",
		"qdrant", "weaviate", "milvus", "chroma", "elasticsearch", "opensearch", "neo4j", "rabbitmq", "nats", "kafka", "zookeeper",
		"minio", "etcd", "nginx", "caddy", "traefik", "haproxy", "grafana", "prometheus", "jaeger", "otel", "ollama", "adminer", "pgadmin", "mailhog"} {
		if strings.HasPrefix(image, name) {
			return true
		}
	}
	return false
}

// isMUXI reports whether a service plainly runs formations.
func (p *project) isMUXI(s *formation.ComposeService) bool {
	if p.isOther(s) {
		return false
	}
	if strings.Contains(strings.ToLower(p.fill(s.Image)+" "+s.Name), "muxi") {
		return true
	}
	for _, m := range s.Mounts {
		if target := path.Clean(p.fill(m.Target)); target == "/formations" || strings.HasPrefix(target, "/formations/") {
			return true
		}
	}
	return slices.ContainsFunc(s.Environment, func(v formation.ComposeVariable) bool { return strings.HasPrefix(v.Name, "MUXI_") })
}

// environment finds values under environment: that belong into a vault. What a
// credential's name is, and what is a placeholder, the scanner knows: it judges
// `environment` in a formation's files by the same rule.
func (d *doctor) environment(p *project, content []byte) {
	lines := map[int]bool{}
	for _, f := range (&scan.Scanner{}).File("compose.afs", content, scan.Regular) {
		if f.Rule == scan.PlaintextKey {
			lines[f.Line] = true
		}
	}
	for i := range p.Services {
		s := &p.Services[i]
		var names []string
		var where []place
		if !p.isOther(s) {
			d.handedOn(p, s)
		}
		for _, v := range s.Environment {
			if !lines[v.Line] && !d.isSecretOfOurs(v.Name, v.Value) {
				continue
			}
			names = append(names, v.Name)
			where = append(where, place{p.file, v.Line})
			d.tell(place{p.file, v.Line})
		}
		if len(names) == 0 {
			continue
		}
		if p.isOther(s) {
			// A database has no other way to be told its password; the file has.
			d.say(nil, "compose-environment", warns, d.edit(p.file, where[0].line), "%s: the value of %s stands in the file; write ${%s}, and give it from outside", d.places(where), some(names), names[0])
			continue
		}
		d.say(nil, "compose-environment", fails, d.storing(p, names[0]), "%s: the value of %s stands in the environment of '%s', which every process and 'docker inspect' shows; store it, and take it out here", d.places(where), some(names), s.Name)
	}
}

// handedOn speaks of secrets that a service gets from the environment of whoever
// starts it: the value is not in the file, but in that of every process in there.
func (d *doctor) handedOn(p *project, s *formation.ComposeService) {
	var names []string
	var where []place
	for _, v := range s.Environment {
		referred := slices.ContainsFunc(d.patients, func(p *patient) bool { return slices.Contains(p.st.References, v.Name) })
		if referred && (v.Value == "" || strings.Contains(v.Value, "$")) {
			names = append(names, v.Name)
			where = append(where, place{p.file, v.Line})
		}
	}
	if len(names) > 0 {
		remedy := d.storing(p, names[0])
		if slices.ContainsFunc(d.patients, func(p *patient) bool { return slices.Contains(p.st.Secrets, names[0]) }) {
			remedy = d.edit(p.file, where[0].line) // stored already
		}
		d.say(nil, "compose-environment", warns, remedy, "%s: %s comes into '%s' by the environment, which every process and 'docker inspect' shows; the runtime takes it from the vault: take it out here", d.places(where), some(names), s.Name)
	}
}

// isSecretOfOurs reports whether a formation refers to a name as a secret, and a
// value is one and no placeholder or variable.
func (d *doctor) isSecretOfOurs(name, value string) bool {
	if formation.IsPlaceholder(value) || strings.Contains(value, "${") {
		return false
	}
	return slices.ContainsFunc(d.patients, func(p *patient) bool {
		return slices.Contains(p.st.References, name) && len(value) >= 8
	})
}

// tell notes that a place is spoken of.
func (d *doctor) tell(at place) {
	if layout, ok := d.s.where(); ok && layout.Top != "" {
		if rel, err := filepath.Rel(layout.Top, realFile(at.path)); err == nil {
			d.told[fmt.Sprintf("%s:%d", filepath.ToSlash(rel), at.line)] = true
		}
	}
}

func realFile(file string) string {
	return filepath.Join(realDir(filepath.Dir(file)), filepath.Base(file))
}

// storing is the command that stores a name in the formation that a project is
// about.
func (d *doctor) storing(p *project, name string) string {
	on := d.nearest(p).on
	if formation.Normalize(name) == "" {
		return on + " add"
	}
	return on + " add " + formation.Normalize(name)
}

// nearest is the formation that a project most likely runs: one that is asked
// about, in its folder or below.
func (d *doctor) nearest(p *project) *patient {
	best := d.patients[0]
	for _, pt := range slices.Backward(d.patients) {
		if inside(p.dir, pt.Dir) && pt.chosen {
			best = pt
		}
	}
	return best
}

// envFiles finds the same in the files that a service reads its variables from.
func (d *doctor) envFiles(p *project) {
	done := map[string]bool{}
	for i := range p.Services {
		s := &p.Services[i]
		for _, file := range s.EnvFiles {
			full := p.path(d, file.Path)
			content, err := os.ReadFile(full)
			if errors.Is(err, fs.ErrNotExist) && !file.Optional && !strings.Contains(p.fill(file.Path), "$") {
				d.say(nil, "compose-env-file", fails, "touch "+quote(d.s.show(full)), "%s: '%s' is not there, and '%s' would not start", d.at(place{p.file, file.Line}), d.s.show(full), s.Name)
				continue
			}
			if err != nil || done[full] || p.isOther(s) {
				continue
			}
			done[full] = true
			list, err := formation.ParseDotenv(content)
			if err != nil {
				continue // docker compose reads some that we do not
			}
			var names []string
			var where []place
			for _, a := range list {
				if d.isSecretOfOurs(a.Spelled, a.Value) || isCredential(a.Spelled, a.Value) {
					names = append(names, a.Spelled)
					where = append(where, place{full, a.Line})
					d.tell(place{full, a.Line})
				}
			}
			if len(names) > 0 {
				d.say(nil, "compose-env-file", fails, d.nearest(p).on+" import "+quote(d.s.show(full)), "%s: the value of %s goes into the environment of '%s'; store it, and take it out here", d.places(where), some(names), s.Name)
			}
		}
	}
}

// isCredential asks the scanner about one variable.
func isCredential(name, value string) bool {
	text, err := json.Marshal(map[string]map[string]string{"environment": {name: value}}) // JSON is YAML
	if err != nil {
		return false
	}
	return slices.ContainsFunc((&scan.Scanner{}).File("env.afs", text, scan.Regular), func(f scan.Finding) bool { return f.Rule == scan.PlaintextKey })
}

// buildContext is a Dockerfile with the folder that it is built from.
type buildContext struct {
	file, dir string
	*formation.Dockerfile
	ignore     *formation.DockerIgnore
	ignoreFile string
}

// contexts pairs Dockerfiles with their contexts: what a compose file says, else
// the Dockerfile's own folder, or the top of the repository where only that has
// what it copies.
func (d *doctor) contexts(files []string, projects []*project) []*buildContext {
	var all []*buildContext
	add := func(file, dir string) {
		if slices.ContainsFunc(all, func(c *buildContext) bool { return c.file == file && c.dir == dir }) {
			return
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return
		}
		c := &buildContext{file: file, dir: dir, Dockerfile: formation.ParseDockerfile(content), ignoreFile: file + ".dockerignore"}
		text, err := os.ReadFile(c.ignoreFile)
		if err != nil {
			c.ignoreFile = filepath.Join(dir, ".dockerignore")
			text, _ = os.ReadFile(c.ignoreFile)
		}
		c.ignore = formation.ParseDockerIgnore(text)
		all = append(all, c)
	}
	for _, p := range projects {
		for _, s := range p.Services {
			if s.Build != nil && !strings.Contains(s.Build.Context, "://") {
				add(p.dockerfile(d, s.Build))
			}
		}
	}
	for _, file := range files {
		real := realFile(file)
		if slices.ContainsFunc(all, func(c *buildContext) bool { return realFile(c.file) == real }) {
			continue
		}
		dir := filepath.Dir(real)
		if layout, ok := d.s.where(); ok && layout.Top != "" && dir != layout.Top {
			content, _ := os.ReadFile(file)
			for _, c := range formation.ParseDockerfile(content).Copies {
				_, here := os.Stat(filepath.Join(dir, filepath.FromSlash(c.Source)))
				_, there := os.Stat(filepath.Join(layout.Top, filepath.FromSlash(c.Source)))
				if here != nil && there == nil {
					dir = layout.Top
					break
				}
			}
		}
		add(file, dir)
	}
	return all
}

func (p *project) dockerfile(d *doctor, b *formation.ComposeBuild) (file, dir string) {
	dir = p.path(d, b.Context)
	file = p.fill(b.Dockerfile)
	if file == "" {
		file = "Dockerfile"
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, filepath.FromSlash(file))
	}
	return file, dir
}

// images judges whether a key would end in an image, or in a builder's hands.
func (d *doctor) images(pt *patient, contexts []*buildContext) {
	key, err := fileExists(pt.Path(formation.KeyFile))
	vault, errVault := pt.HasVault()
	if err != nil || errVault != nil || !key && !vault {
		return
	}
	for _, c := range contexts {
		rel, ok := c.below(pt)
		if !ok || c.ignore.Ignores(rel) {
			continue
		}
		state, at := warns, place{c.file, 1}
		message := "the builder is given %s with its context: '%s' does not keep it out"
		for _, one := range c.Copies {
			if one.Takes(rel) {
				state, at.line = fails, one.Line
				message = "%s is copied into the image, where everybody who has the image can read it: '%s' does not keep it out"
				break
			}
		}
		line := "**/" + formation.KeyFile
		d.say(pt, "docker-context", state, fmt.Sprintf(`printf '\n%%s\n' '%s' >> %s`, line, quote(d.s.show(c.ignoreFile))),
			"%s: "+message, d.at(at), formation.KeyFile, d.s.show(c.ignoreFile)).
			fix = func(context.Context) error { return d.s.dockerIgnore(c.ignoreFile, rel, line) }
	}
}

// below is where a formation's key would be in the context, with /.
func (c *buildContext) below(pt *patient) (rel string, ok bool) {
	dir := realDir(pt.Dir)
	if !inside(c.dir, dir) {
		return "", false
	}
	rel, err := filepath.Rel(c.dir, dir)
	return path.Join(filepath.ToSlash(rel), formation.KeyFile), err == nil
}

// dockerIgnore adds a line to a .dockerignore, unless an earlier repair did what
// is wanted.
func (s *session) dockerIgnore(file, key, line string) error {
	if err := s.staysInside(file); err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &formation.FileError{Op: "read", Path: file, Err: err}
	}
	if formation.ParseDockerIgnore(content).Ignores(key) {
		return nil
	}
	ending := "\n"
	if strings.Contains(string(content), "\r\n") {
		ending = "\r\n"
	}
	text := string(content)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += ending
	}
	batch := s.Files.Batch()
	defer batch.Discard()
	if err := batch.Replace(file, []byte(text+line+ending), formation.ModeOf(file, 0o644)); err != nil {
		return err
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	s.say("Added '%s' to %s", line, s.show(file))
	return nil
}
