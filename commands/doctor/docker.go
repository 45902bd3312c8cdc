package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// project is compose files that are used together.
type project struct {
	*compose
	dir  string
	file string
	// starts says that `docker compose up` in dir starts it: no -f is needed.
	starts bool
	lookup func(string) (string, bool) // what ${NAME} stands for
	images []*image                    // all there are
	muxi   map[string]bool             // the services that run formations
}

// docker examines compose files and Dockerfiles.
func (d *doctor) docker(ctx context.Context) {
	composeFiles, dockerfiles := d.dockerFiles()
	projects := d.projects(composeFiles)
	images := d.images(dockerfiles, projects)
	for _, pt := range d.patients {
		d.keyInImages(pt, images)
	}

	base := sync.OnceValue(func() int { return namespaceBase(ctx) }) // asked where it matters
	for _, p := range projects {
		p.images, p.muxi = images, map[string]bool{}
		p.resolve()
		for i := range p.services {
			p.muxi[p.services[i].name] = d.runs(p, &p.services[i])
		}
		for i := range p.services {
			d.variables(p, &p.services[i])
		}
		if p.starts {
			for _, pt := range d.patients {
				d.mounts(pt, p, base)
			}
		}
	}
}

// maxDockerFolders bounds the search on a folder that is no project.
const maxDockerFolders = 20_000

// dockerFiles finds the compose files and Dockerfiles of the repository, else of
// the formations and the folders around them. They are sorted by folder, compose
// files then by kind, and in the order of docker compose's preference.
func (d *doctor) dockerFiles() (composeFiles, dockerfiles []string) {
	found := map[string]bool{}
	seen := 0
	walk := func(root string, below bool) {
		filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // a search is no place to fail
			case !entry.IsDir():
				if entry.Type().IsRegular() || entry.Type()&fs.ModeSymlink != 0 {
					found[file] = true
				}
			case file != root && (!below || formation.SkipFolder(entry.Name()) || entry.Name() == "vendor"):
				return fs.SkipDir
			default:
				if seen++; seen > maxDockerFolders {
					return fs.SkipAll
				}
			}
			return nil
		})
	}
	if d.Layout.Top != "" {
		walk(d.Layout.Top, true)
	} else {
		for _, p := range d.patients {
			walk(p.Dir, true)
			for up, dir := 0, filepath.Dir(p.Dir); up < 3; up, dir = up+1, filepath.Dir(dir) {
				walk(dir, false)
			}
		}
	}

	for file := range found {
		if kind, _ := composeKind(filepath.Base(file)); kind != noCompose {
			composeFiles = append(composeFiles, file)
		} else if isDockerfile(filepath.Base(file)) {
			dockerfiles = append(dockerfiles, file)
		}
	}
	slices.Sort(dockerfiles)
	slices.SortFunc(composeFiles, func(a, b string) int {
		kindA, rankA := composeKind(filepath.Base(a))
		kindB, rankB := composeKind(filepath.Base(b))
		return cmp.Or(strings.Compare(filepath.Dir(a), filepath.Dir(b)), kindA-kindB, rankA-rankB, strings.Compare(a, b))
	})
	return composeFiles, dockerfiles
}

// projects puts together what is used together: the main file of a folder with
// its override, and every other file laid over these.
func (d *doctor) projects(files []string) []*project {
	var all []*project
	var main *project // of the folder at hand
	overridden := false
	for _, file := range files {
		kind, _ := composeKind(filepath.Base(file))
		dir := filepath.Dir(file)
		if main != nil && main.dir != dir {
			main, overridden = nil, false
		}
		if main != nil && (kind == mainCompose || kind == overCompose && overridden) {
			continue // docker compose takes the first
		}
		content, err := read(file)
		if err != nil {
			continue
		}
		c, err := parseCompose(file, content)
		if err != nil {
			if kind != namedCompose { // else perhaps a template of somebody's
				d.say(nil, "compose", Fail, d.edit(place{file, 1}), "%s is no valid YAML: %v", d.Show(file), err)
			}
			continue
		}

		p := &project{compose: c, dir: dir, file: file, lookup: d.lookup(dir)}
		switch {
		case main != nil && kind == overCompose:
			main.compose, overridden = main.with(c), true
			continue
		case main != nil:
			p.compose = main.with(c)
		case kind == mainCompose:
			p.starts, main = true, p
		}
		all = append(all, p)
	}
	return all
}

// lookup is what ${NAME} stands for in a project: the environment, then the .env
// beside the compose file.
func (d *doctor) lookup(dir string) func(string) (string, bool) {
	beside := map[string]string{}
	if content, err := read(filepath.Join(dir, ".env")); err == nil {
		list, _ := formation.ParseDotenv(content)
		for _, a := range list {
			beside[a.Spelled] = a.Value
		}
	}
	return func(name string) (string, bool) {
		if value := d.Getenv(name); value != "" {
			return value, true
		}
		value, ok := beside[name]
		return value, ok
	}
}

// resolve says of each mount what it is on this machine.
func (p *project) resolve() {
	for i := range p.services {
		for j := range p.services[i].Mounts {
			m := &p.services[i].Mounts[j]
			m.inside = path.Clean(p.fill(m.Target))
			if m.Type == "bind" {
				m.host = p.path(m.Source)
			}
		}
	}
}

func (p *project) fill(text string) string { return interpolate(text, p.lookup) }

// path is a path of the host as a compose file has it.
func (p *project) path(text string) string {
	text = filepath.FromSlash(p.fill(text))
	if rest, ok := strings.CutPrefix(text, "~"); ok && (rest == "" || rest[0] == filepath.Separator) {
		home, _ := p.lookup("HOME")
		text = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(text) {
		text = filepath.Join(p.dir, text)
	}
	return paths.Real(filepath.Clean(text))
}

// active reports whether `docker compose up` starts a service: it is behind no
// profile, or behind one that COMPOSE_PROFILES names.
func (p *project) active(s *service) bool {
	wanted, _ := p.lookup("COMPOSE_PROFILES")
	return len(s.Profiles) == 0 || slices.ContainsFunc(strings.Split(wanted, ","), func(one string) bool {
		return one == "*" || slices.Contains(s.Profiles, one)
	})
}

// runs reports whether a service runs formations: it says so by MUXI's names, or
// it has one of ours.
func (d *doctor) runs(p *project, s *service) bool {
	if s.name == "muxi" || strings.Contains(strings.ToLower(p.fill(s.Image)), "muxi") ||
		slices.ContainsFunc(s.Environment, func(v variable) bool { return strings.HasPrefix(v.name, "MUXI_") }) {
		return true
	}
	if slices.ContainsFunc(s.Mounts, func(m mount) bool { return strings.HasPrefix(m.inside+"/", "/formations/") }) {
		return true
	}
	return slices.ContainsFunc(d.patients, func(pt *patient) bool { return p.has(s, pt) })
}

// variables judges what a service is given by its environment.
func (d *doctor) variables(p *project, s *service) {
	d.environment(p, s)
	if !p.active(s) {
		return
	}
	for _, file := range s.EnvFiles {
		d.envFile(p, s, file)
	}
}

// environment judges the values in a compose file.
func (d *doctor) environment(p *project, s *service) {
	ours := p.muxi[s.name]
	var stored, handed named
	for _, v := range s.Environment {
		switch {
		case d.isSecret(v.name, v.value):
			d.add(&stored, v.name, v.at)
		case ours && d.referred(v.name) && (v.value == "" || strings.Contains(v.value, "$")):
			d.add(&handed, v.name, v.at)
		}
	}

	if len(stored.names) > 0 && ours {
		d.say(nil, "compose-environment", Fail, d.storing(p, stored.names[0]), "%s: the value of %s stands in the environment of '%s', which every process and 'docker inspect' shows; store it, and take it out here", d.places(stored.places), some(stored.names), s.name)
	} else if len(stored.names) > 0 {
		// A database has no other way to be told its password; the file has.
		d.say(nil, "compose-environment", Warn, d.edit(stored.places[0]), "%s: the value of %s stands in the file; write ${%s}, and give it from outside", d.places(stored.places), some(stored.names), stored.names[0])
	}
	if len(handed.names) > 0 {
		remedy := d.storing(p, handed.names[0])
		if slices.ContainsFunc(d.patients, func(pt *patient) bool { return pt.stores(handed.names[0]) }) {
			remedy = d.edit(handed.places[0])
		}
		d.say(nil, "compose-environment", Warn, remedy, "%s: %s comes into '%s' by the environment, which every process and 'docker inspect' shows; the runtime takes it from the vault: take it out here", d.places(handed.places), some(handed.names), s.name)
	}
}

// envFile judges a file that a service reads its variables from. What is none of
// MUXI's may read what it wants.
func (d *doctor) envFile(p *project, s *service, file envFile) {
	if !slices.ContainsFunc(p.services, func(s service) bool { return p.muxi[s.name] }) {
		return
	}
	full := p.path(file.Path)
	if !paths.There(full) && file.Required != "false" && !strings.Contains(p.fill(file.Path), "$") {
		d.say(nil, "compose-env-file", Fail, d.Shell.Create(d.shell(full)), "%s: '%s' is not there, and '%s' would not start", d.at(file.at), d.Show(full), s.name)
	}
	if !p.muxi[s.name] {
		return
	}
	if stored := d.secretsIn(full); len(stored.names) > 0 {
		d.say(nil, "compose-env-file", Fail, d.nearest(p).on+" import "+d.shell(full), "%s: the value of %s goes into the environment of '%s'; store it, and take it out here", d.places(stored.places), some(stored.names), s.name)
	}
}

// secretsIn are the variables of a .env file whose values belong into a vault. Of
// a file that cannot be read there are none: docker compose reads some that we do
// not.
func (d *doctor) secretsIn(file string) (stored named) {
	content, err := read(file)
	if err != nil {
		return stored
	}
	list, err := formation.ParseDotenv(content)
	if err != nil {
		return stored
	}
	for _, a := range list {
		if d.isSecret(a.Spelled, a.Value) {
			d.add(&stored, a.Spelled, place{file, a.Line})
		}
	}
	return stored
}

// named are variables with their places.
type named struct {
	names  []string
	places []place
}

// add takes in a variable, unless its place is spoken of already: the files of a
// project are in several.
func (d *doctor) add(n *named, name string, at place) {
	if at = (place{paths.Real(at.path), at.line}); !d.told[at] {
		d.told[at] = true
		n.names = append(n.names, name)
		n.places = append(n.places, at)
	}
}

// referred reports whether a formation refers to a name.
func (d *doctor) referred(name string) bool {
	return slices.ContainsFunc(d.patients, func(p *patient) bool { return p.refers(name) })
}

// isSecret reports whether a variable's value belongs into a vault: a formation
// refers to its name, or the scanner would say so of a formation's `environment`.
func (d *doctor) isSecret(name, value string) bool {
	if len(value) >= 8 && d.referred(name) && !formation.IsPlaceholder(value) && !strings.Contains(value, "${") {
		return true
	}
	text, err := json.Marshal(map[string]map[string]string{"environment": {name: value}}) // JSON is YAML
	if err != nil {
		return false
	}
	found := (&scan.Scanner{}).File("environment.afs", text, scan.Regular)
	return slices.ContainsFunc(found, func(f scan.Finding) bool { return f.Rule == scan.PlaintextKey && f.Silenced == "" })
}

// storing is the command that stores a name in the formation that a project is
// about.
func (d *doctor) storing(p *project, name string) string {
	return strings.TrimSpace(d.nearest(p).on + " add " + formation.Normalize(name))
}

// nearest is the formation that a project most likely runs: the first one asked
// about in its folder or below.
func (d *doctor) nearest(p *project) *patient {
	i := slices.IndexFunc(d.patients, func(pt *patient) bool { return pt.asked && paths.Within(p.dir, pt.Dir) })
	return d.patients[max(i, 0)]
}
