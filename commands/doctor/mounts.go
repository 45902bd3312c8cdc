package doctor

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// seat is where a container has a formation by a mount.
type seat struct {
	dir string // in the container
	at  place
	// meant says that what is mounted is the formation, or the folder of several,
	// and not a whole project.
	meant bool
}

// seats are the places where a service has a formation.
func (s *service) seats(pt *patient) []seat {
	var found []seat
	for _, m := range s.Mounts {
		rel, ok := paths.Below(m.host, pt.real)
		switch {
		case m.host == "":
		case ok:
			meant := rel == "." || !strings.Contains(rel, "/") && !paths.There(filepath.Join(m.host, ".git"))
			found = append(found, seat{path.Join(m.inside, rel), m.at, meant})
		case m.host == filepath.Join(pt.real, pt.File):
			found = append(found, seat{path.Dir(m.inside), m.at, true})
		}
	}
	return found
}

// has reports whether a service has a formation, mounted or built in.
func (p *project) has(s *service, pt *patient) bool {
	if m := p.image(s); m != nil {
		if rel, ok := m.find(pt, pt.File); ok && m.takes(rel) > 0 {
			return true
		}
	}
	return slices.ContainsFunc(s.seats(pt), func(at seat) bool { return at.meant })
}

// onHost is the file of the host that stands at a path of a container, links
// followed as they are in there; "" for none.
func (s *service) onHost(file string) string {
	for range 10 {
		host, deepest := "", -1
		for _, m := range s.Mounts {
			rest, ok := strings.CutPrefix(file+"/", strings.TrimSuffix(m.inside, "/")+"/")
			if !ok || len(m.inside) <= deepest {
				continue
			}
			host, deepest = m.host, len(m.inside)
			if host != "" {
				host = filepath.Join(host, filepath.FromSlash(rest))
			}
		}
		info, err := os.Lstat(host)
		if err != nil || info.Mode().IsRegular() {
			return map[bool]string{true: host}[err == nil]
		}

		to, err := os.Readlink(host)
		if err != nil {
			return ""
		}
		if file = filepath.ToSlash(to); !path.IsAbs(file) {
			file = path.Join(path.Dir(file), to)
		}
	}
	return ""
}

// mounts judges what a project's services see of a formation.
func (d *doctor) mounts(pt *patient, p *project, base func() int) {
	seated := false
	for i := range p.services {
		s := &p.services[i]
		for _, at := range s.seats(pt) {
			seated = true
			// Others have the whole project, for reasons of their own.
			if p.active(s) && p.muxi[s.name] && d.keyIsThere(pt, s, at) && d.keyIsReadable(pt, p, s, at, base) {
				d.ok(pt, "docker-mount", "mounted by '%s' of %s", s.name, d.Show(p.file))
			}
		}
	}
	if !seated {
		d.notMounted(pt, p)
	}
}

// keyIsThere judges whether the container has the key that the host has.
func (d *doctor) keyIsThere(pt *patient, s *service, at seat) bool {
	own := pt.Path(formation.KeyFile)
	info, err := os.Lstat(own)
	there := s.onHost(path.Join(at.dir, formation.KeyFile)) != ""
	switch {
	case there:
		return true
	case err != nil && pt.Locked() == nil: // by the key of another work tree
		d.say(pt, "docker-mount", Fail, d.Shell.Copy(d.shell(pt.keyPath()), d.shell(own)),
			"'%s' mounts this linked work tree, whose key lies in the main one", s.name)
	case err != nil:
		return true // key says that it is missing
	case info.Mode().IsRegular():
		d.say(pt, "docker-mount", Fail, d.edit(at.at), "%s: '%s' has the formation without its key; mount its folder, or %s beside it", d.at(at.at), s.name, formation.KeyFile)
	default:
		to, _ := os.Readlink(own)
		d.say(pt, "docker-mount", Fail, d.Shell.Unlink(d.shell(own), d.shell(paths.Real(own))),
			"%s is a symbolic link to '%s', which leads nowhere in the container of '%s'", formation.KeyFile, filepath.ToSlash(to), s.name)
	}
	return false
}

// notMounted says that a service which runs formations has none, and names the
// one beside it.
func (d *doctor) notMounted(pt *patient, p *project) {
	if p.elsewhere || !paths.Within(paths.Real(p.dir), pt.real) {
		return
	}
	var idle *service // runs formations, and has none
	for i := range p.services {
		s := &p.services[i]
		if !p.active(s) || !p.muxi[s.name] {
			continue
		}
		if slices.ContainsFunc(d.patients, func(other *patient) bool { return p.has(s, other) }) {
			return // which ones it runs is somebody's choice
		}
		idle = s
	}
	if idle == nil {
		return
	}

	for _, m := range idle.Mounts {
		if strings.Contains(m.Source, "${FORMATIONS_DIR") { // the guide's
			folder := filepath.Dir(pt.Dir)
			if pt.Dir == p.dir {
				folder = pt.Dir
			}
			d.say(pt, "docker-mount", Fail, d.Shell.Export("FORMATIONS_DIR", filepath.ToSlash(folder)),
				"%s: '%s' mounts '%s', which holds no formation", d.at(m.at), idle.name, p.fill(m.Source))
			return
		}
	}
	rel, _ := filepath.Rel(paths.Real(p.dir), pt.real)
	line := fmt.Sprintf("- %s:/formations/%s:ro", strings.TrimSuffix("./"+filepath.ToSlash(rel), "/."), filepath.Base(pt.Dir))
	d.say(pt, "docker-mount", Fail, d.edit(idle.at), "%s: '%s' mounts no formation; under its volumes belongs '%s'", d.at(idle.at), idle.name, line)
}

// namespaceBase is the number that root in a container has on this machine; 0
// without user namespaces. Docker is asked, which is the only one to know.
func namespaceBase(ctx context.Context) int {
	out, err := ask(ctx, "docker", "info", "--format", "{{json .SecurityOptions}} {{.DockerRootDir}}")
	if err != nil || !strings.Contains(out, `"name=userns"`) {
		return 0
	}
	root, _, _ := strings.Cut(path.Base(out), ".") // /var/lib/docker/100000.100000
	base, _ := strconv.Atoi(root)
	return base
}

// keyIsReadable judges whether the user in the container can read what only its
// owner can: .key and secrets.enc have mode 0600.
func (d *doctor) keyIsReadable(pt *patient, p *project, s *service, at seat, base func() int) bool {
	key := s.onHost(path.Join(at.dir, formation.KeyFile))
	info, err := os.Stat(key)
	if err != nil {
		return true
	}
	owner, ok := ownerOf(info)
	if !ok || info.Mode().Perm()&0o004 != 0 {
		return true
	}

	user, from := p.fill(s.User.text), s.User.at
	if m := p.image(s); m != nil && user == "" && !strings.Contains(m.user, "$") {
		user, from = m.user, place{m.file, m.line}
	}
	if from.line == 0 {
		from = s.at
	}
	name, _, _ := strings.Cut(user, ":")
	uid, err := strconv.Atoi(name)
	if err != nil && name != "" && name != "root" {
		d.say(pt, "docker-user", Warn, d.edit(from), "%s: '%s' runs as '%s', and only uid %d can read %s", d.at(from), s.name, name, owner, formation.KeyFile)
		return false
	}

	root, first := uid == 0 && !s.powerless(), 0
	if s.Userns != "host" {
		first = base()
	}
	switch {
	case first+uid == owner, root && first == 0, root && first <= owner && owner < first+1<<16:
		return true
	case first > 0:
		d.say(pt, "docker-userns", Fail, d.edit(s.at), "docker runs with user namespaces, so that '%s' is uid %d here, and only uid %d can read %s; 'userns_mode: host' or another owner lets it", s.name, first+uid, owner, formation.KeyFile)
		return false
	}
	remedy := d.edit(from)
	if os.Getuid() == 0 {
		remedy = fmt.Sprintf("chown %d %s %s", uid, d.shell(key), d.shell(pt.Path(formation.VaultFile)))
	}
	d.say(pt, "docker-user", Fail, remedy, "'%s' of %s runs as uid %d, and only uid %d can read %s; 'user: %d' or another owner lets it", s.name, d.Show(p.file), uid, owner, formation.KeyFile, owner)
	return false
}
