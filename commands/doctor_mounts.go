package commands

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// seat is where a container has a formation.
type seat struct {
	service *formation.ComposeService
	dir     string // in the container
	key     string // what stands at its .key, on the host; "" for nothing from there
	line    int    // of the mount
	// meant says that what is mounted is the formation, or the folder of several.
	meant bool
}

// seats are the places where a service has a formation by its mounts.
func (d *doctor) seats(pt *patient, p *project, s *formation.ComposeService) []seat {
	var found []seat
	dir := realDir(pt.Dir)
	for _, m := range s.Mounts {
		if !m.Bind {
			continue
		}
		source, target := p.path(d, m.Source), path.Clean(p.fill(m.Target))
		at := seat{service: s, line: m.Line}
		switch rel, err := filepath.Rel(source, dir); {
		case err == nil && filepath.IsLocal(rel):
			at.dir = path.Join(target, filepath.ToSlash(rel))
			_, repository := os.Lstat(filepath.Join(source, ".git"))
			at.meant = rel == "." || !strings.Contains(filepath.ToSlash(rel), "/") && repository != nil
		case realFile(source) == filepath.Join(dir, pt.File):
			at.dir, at.meant = path.Dir(target), true
		default:
			continue
		}
		at.key = p.hostPath(d, s, path.Join(at.dir, formation.KeyFile))
		found = append(found, at)
	}
	return found
}

// hostPath is the file of the host that stands at a path of a container: that of
// the mount which lies deepest around it.
func (p *project) hostPath(d *doctor, s *formation.ComposeService, file string) string {
	host, deepest := "", -1
	for _, m := range s.Mounts {
		target := path.Clean(p.fill(m.Target))
		rest, ok := strings.CutPrefix(file, strings.TrimSuffix(target, "/"))
		if !ok || rest != "" && rest[0] != '/' || len(target) <= deepest {
			continue
		}
		host, deepest = "", len(target)
		if m.Bind {
			host = filepath.Join(p.path(d, m.Source), filepath.FromSlash(rest))
		}
	}
	return host
}

// mounts judges what a project's services see of a formation.
func (d *doctor) mounts(pt *patient, p *project, contexts []*buildContext, users func() usernamespace) {
	if !pt.chosen {
		return
	}
	seated := false
	for i := range p.Services {
		s := &p.Services[i]
		for _, at := range d.seats(pt, p, s) {
			seated = true
			if !p.isMUXI(s) && !at.meant {
				continue // it has the whole project, for reasons of its own
			}
			if d.keyIsThere(pt, p, at) && d.keyIsReadable(pt, p, at, contexts, users) {
				d.ok(pt, "docker-mount", "mounted by '%s' of %s", s.Name, d.s.show(p.file))
			}
		}
	}
	if !seated {
		d.notMounted(pt, p, contexts)
	}
}

// keyIsThere judges whether the container has the key that the host has.
func (d *doctor) keyIsThere(pt *patient, p *project, at seat) bool {
	own := pt.Path(formation.KeyFile)
	info, err := os.Lstat(own)
	if err != nil {
		if pt.SharedKey == "" || pt.st.key == nil || at.key != filepath.Join(realDir(pt.Dir), formation.KeyFile) {
			return err == nil || at.key == "" || d.fileThere(at.key) // key says that it is missing
		}
		d.say(pt, "docker-mount", fails, fmt.Sprintf("cp -p %s %s", quote(d.s.show(pt.SharedKey)), quote(d.s.show(own))),
			"'%s' mounts this linked work tree, whose key lies in the main one", at.service.Name)
		return false
	}
	where := place{p.file, at.line}
	switch {
	case at.key == "":
		d.say(pt, "docker-mount", fails, d.edit(p.file, at.line), "%s: '%s' has the formation without its key; mount its folder, or %s beside it", d.at(where), at.service.Name, formation.KeyFile)
		return false
	case !d.fileThere(at.key):
		d.say(pt, "docker-mount", fails, d.edit(p.file, at.line), "%s: what '%s' has as key is '%s', which is not there", d.at(where), at.service.Name, d.s.show(at.key))
		return false
	}
	if info.Mode()&fs.ModeSymlink == 0 || realFile(at.key) != realFile(own) {
		return true
	}
	// A link is followed inside of the container.
	to, err := os.Readlink(own)
	if err == nil && !filepath.IsAbs(to) {
		host := p.hostPath(d, at.service, path.Join(at.dir, filepath.ToSlash(to)))
		if real, err := filepath.EvalSymlinks(own); err == nil && host != "" && filepath.Clean(host) == real {
			return true
		}
	}
	d.say(pt, "docker-mount", fails, fmt.Sprintf(`cp --remove-destination "$(readlink -f %[1]s)" %[1]s`, quote(d.s.show(own))),
		"%s is a symbolic link to '%s', which leads nowhere in the container of '%s'", formation.KeyFile, filepath.ToSlash(to), at.service.Name)
	return false
}

func (d *doctor) fileThere(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}

// notMounted says that nothing runs the formation, where that was meant: a
// service that runs formations has none, or the compose file is about nothing
// else than this one.
func (d *doctor) notMounted(pt *patient, p *project, contexts []*buildContext) {
	if p.Elsewhere || !inside(realDir(p.dir), realDir(pt.Dir)) {
		return
	}
	var runs, perhaps *formation.ComposeService
	for i := range p.Services {
		s := &p.Services[i]
		if d.inImage(pt, p, s, contexts) {
			return
		}
		for _, other := range d.patients {
			if len(d.seats(other, p, s)) > 0 {
				return // it runs others, which is somebody's choice
			}
		}
		switch {
		case p.isMUXI(s):
			runs = s
		case !p.isOther(s):
			perhaps = s
		}
	}
	rel, _ := filepath.Rel(realDir(p.dir), realDir(pt.Dir))
	line := fmt.Sprintf("'- ./%s:/formations/%s:ro'", filepath.ToSlash(rel), filepath.Base(pt.Dir))
	if rel == "." {
		line = fmt.Sprintf("'- .:/formations/%s:ro'", filepath.Base(pt.Dir))
	}
	switch {
	case runs != nil:
		for _, m := range runs.Mounts {
			if strings.Contains(m.Source, "${FORMATIONS_DIR") {
				folder := filepath.Dir(pt.Dir)
				if pt.Dir == p.dir {
					folder = pt.Dir
				}
				d.say(pt, "docker-mount", fails, "export FORMATIONS_DIR="+quote(filepath.ToSlash(folder)),
					"%s: '%s' mounts '%s', which holds no formation", d.at(place{p.file, m.Line}), runs.Name, p.fill(m.Source))
				return
			}
		}
		d.say(pt, "docker-mount", fails, d.edit(p.file, runs.Line), "%s: '%s' mounts no formation; under its volumes belongs %s", d.at(place{p.file, runs.Line}), runs.Name, line)
	case perhaps != nil && !p.said:
		p.said = true
		d.say(pt, "docker-mount", warns, d.edit(p.file, perhaps.Line), "no service of %s mounts the formation; if one runs formations, under its volumes belongs %s", d.s.show(p.file), line)
	}
}

// inImage reports whether a service's image is built with the formation in it.
func (d *doctor) inImage(pt *patient, p *project, s *formation.ComposeService, contexts []*buildContext) bool {
	c := p.builtFrom(d, s, contexts)
	if c == nil {
		return false
	}
	rel, ok := c.below(pt)
	if !ok {
		return false
	}
	file := path.Join(path.Dir(rel), pt.File)
	return !c.ignore.Ignores(file) && slices.ContainsFunc(c.Copies, func(one formation.DockerCopy) bool { return one.Takes(file) })
}

func (p *project) builtFrom(d *doctor, s *formation.ComposeService, contexts []*buildContext) *buildContext {
	if s.Build == nil {
		return nil
	}
	file, dir := p.dockerfile(d, s.Build)
	for _, c := range contexts {
		if c.file == file && c.dir == dir {
			return c
		}
	}
	return nil
}

// usernamespace is how docker numbers the users of containers on the host.
type usernamespace struct {
	remapped bool // root in a container is base on the host
	rootless bool // docker runs as somebody, who is root in the containers
	base     int
}

// namespace asks docker, which is the only one to know.
func (d *doctor) namespace(ctx context.Context) usernamespace {
	out, err := ask(ctx, "docker", "info", "--format", "{{json .SecurityOptions}} {{.DockerRootDir}}")
	if err != nil {
		return usernamespace{}
	}
	u := usernamespace{rootless: strings.Contains(out, `"name=rootless"`)}
	if strings.Contains(out, `"name=userns"`) {
		// /var/lib/docker/100000.100000
		root := out[strings.LastIndexByte(out, '/')+1:]
		root, _, _ = strings.Cut(root, ".")
		if base, err := strconv.Atoi(root); err == nil {
			u.remapped, u.base = true, base
		}
	}
	return u
}

// keyIsReadable judges whether the user in the container can read what only its
// owner can: .key and secrets.enc have mode 0600.
func (d *doctor) keyIsReadable(pt *patient, p *project, at seat, contexts []*buildContext, users func() usernamespace) bool {
	s := at.service
	info, err := os.Stat(at.key)
	if err != nil {
		return true
	}
	owner, group, ok := ownerOf(info)
	if !ok || info.Mode().Perm()&0o004 != 0 {
		return true
	}
	user, line := p.fill(s.User), s.UserLine
	from := p.file
	if c := p.builtFrom(d, s, contexts); c != nil && user == "" && !strings.Contains(c.User, "$") {
		user, line, from = c.User, c.Line, c.file
	}
	name, groupName, _ := strings.Cut(user, ":")
	uid, gid := 0, 0
	if name != "" && name != "root" {
		if uid, err = strconv.Atoi(name); err != nil {
			d.say(pt, "docker-user", warns, d.edit(from, line), "%s: '%s' runs as '%s', and only uid %d can read %s", d.at(place{from, line}), s.Name, name, owner, formation.KeyFile)
			return false
		}
		gid = -1 // that of the image's own list of users
		if uid == 0 {
			gid = 0
		}
	}
	if n, err := strconv.Atoi(groupName); err == nil {
		gid = n
	}
	now := users()
	if s.Userns == "host" {
		now.remapped = false
	}
	mode := info.Mode().Perm()
	may := func(uid, gid int) bool {
		return uid == owner && mode&0o400 != 0 || gid == group && mode&0o040 != 0
	}
	switch {
	case now.remapped:
		mapped := now.base + uid
		if may(mapped, now.base+gid) || uid == 0 && owner >= now.base && owner < now.base+1<<16 {
			return true
		}
		d.say(pt, "docker-userns", fails, d.edit(p.file, s.Line), "docker runs with user namespaces, so that '%s' is uid %d here, and only uid %d can read %s; 'userns_mode: host' or another owner lets it", s.Name, mapped, owner, formation.KeyFile)
		return false
	case now.rootless:
		if uid == 0 && owner == os.Getuid() {
			return true
		}
		d.say(pt, "docker-userns", fails, d.edit(p.file, max(line, s.Line)), "docker runs rootless: only root in a container is you here, '%s' is not, and only uid %d can read %s", s.Name, owner, formation.KeyFile)
		return false
	}
	if uid == 0 && !s.Powerless() || may(uid, gid) {
		return true
	}
	remedy := d.edit(from, max(line, 1))
	advice := fmt.Sprintf("'user: %d:%d' lets it", owner, group)
	if os.Getuid() == 0 {
		remedy = fmt.Sprintf("chown %d %s %s", uid, quote(d.s.show(at.key)), quote(d.s.show(pt.Path(formation.VaultFile))))
		advice += ", or another owner"
	}
	d.say(pt, "docker-user", fails, remedy, "'%s' of %s runs as uid %d, and only uid %d can read %s; %s", s.Name, d.s.show(p.file), uid, owner, formation.KeyFile, advice)
	return false
}
