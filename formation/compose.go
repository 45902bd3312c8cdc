package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Compose is what one compose file says that bears on a formation's files: who
// mounts what, who is given which variables, and what is built from where. It is
// the part of the Compose specification (compose-spec.io) that doctor asks
// about, read with yaml.v3, which is here anyway. compose-go, the library made
// for it, resolves all of the specification and brings thirty modules along,
// five times what this program weighs.
type Compose struct {
	Services []ComposeService // in the order of the file
	// Elsewhere says that parts of it stand in files that are not read: include,
	// and extends with a file.
	Elsewhere bool
}

// ComposeService is one service. Lines are 1-based; text is as the file has it,
// with ${VARIABLES} in it.
type ComposeService struct {
	Name        string
	Line        int
	Image       string
	User        string
	UserLine    int
	Userns      string // userns_mode
	CapDrop     []string
	CapAdd      []string
	Mounts      []ComposeMount
	Environment []ComposeVariable
	EnvFiles    []ComposeFile
	Build       *ComposeBuild // nil: it builds nothing
}

// Powerless reports whether root in the service is bound by the modes of files
// like everybody: the capability to pass them by was dropped.
func (s *ComposeService) Powerless() bool {
	has := func(list []string) bool {
		for _, one := range list {
			switch strings.TrimPrefix(strings.ToUpper(one), "CAP_") {
			case "ALL", "DAC_OVERRIDE":
				return true
			}
		}
		return false
	}
	return has(s.CapDrop) && !has(s.CapAdd)
}

// ComposeMount is one entry of volumes, or a secret or config with a file.
type ComposeMount struct {
	Source string // a path, or the name of a volume; "" for an anonymous one
	Target string
	Bind   bool // Source is a path of the host
	Line   int
}

// ComposeVariable is one entry of environment. Name alone is taken from whoever
// starts the service, and is not listed.
type ComposeVariable struct {
	Name, Value string
	Line        int
}

// ComposeFile is a file that the service reads its variables from.
type ComposeFile struct {
	Path     string
	Optional bool // it may be absent
	Line     int
}

// ComposeBuild is where an image is built.
type ComposeBuild struct {
	Context, Dockerfile string
	Line                int
}

// IsComposeFile reports whether docker compose reads a file of this name by
// itself; override says that it adds to another one.
func IsComposeFile(base string) (override, ok bool) {
	switch base {
	case "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml":
		return false, true
	case "compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml":
		return true, true
	}
	return false, false
}

// LooksLikeCompose reports whether a file of this name is meant for `docker
// compose -f`, which is how people keep one for each environment.
func LooksLikeCompose(base string) bool {
	if _, ok := IsComposeFile(base); ok {
		return true
	}
	if !strings.HasSuffix(base, ".yaml") && !strings.HasSuffix(base, ".yml") {
		return false
	}
	return strings.HasPrefix(base, "compose.") || strings.HasPrefix(base, "compose-") ||
		strings.HasPrefix(base, "docker-compose.") || strings.HasPrefix(base, "docker-compose-")
}

// maxComposeNodes bounds how many nodes are looked at, aliases followed.
const maxComposeNodes = 100_000

var errTooMuchYAML = errors.New("it expands to too much")

// ParseCompose reads a compose file. It fails where content is no YAML, or where
// it expands to more than anybody writes.
func ParseCompose(content []byte) (c *Compose, err error) {
	if len(content) > maxYAML {
		return nil, fmt.Errorf("longer than %d MiB", maxYAML>>20)
	}
	defer func() {
		// yaml.v3 reports some malformed input by panicking across its API.
		if p := recover(); p != nil {
			c, err = nil, errMalformed
		}
	}()
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return &Compose{}, nil
		}
		return nil, yamlError(err)
	}
	r := &composeReader{left: maxComposeNodes, c: &Compose{}}
	r.file(r.follow(&document))
	if r.left <= 0 {
		return nil, errTooMuchYAML
	}
	return r.c, nil
}

type composeReader struct {
	c    *Compose
	left int // nodes that may still be looked at
	// files are the files behind top-level secrets and configs, by name.
	files map[string]string
}

// follow gives what a node stands for.
func (r *composeReader) follow(n *yaml.Node) *yaml.Node {
	for range 100 {
		if r.left--; n == nil || r.left <= 0 {
			return nil
		}
		switch {
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		default:
			return n
		}
	}
	return nil
}

// field is a key of a mapping with its value.
type field struct {
	name  string
	line  int
	value *yaml.Node
}

// fields lists a mapping, each name once. What << merges in comes behind, and
// gives way to the mapping's own, and the second of a list to the first.
func (r *composeReader) fields(n *yaml.Node) []field {
	n = r.follow(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var own, merged []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], r.follow(n.Content[i+1])
		switch {
		case value == nil:
		case key.Value != "<<":
			own = append(own, field{key.Value, key.Line, value})
		case value.Kind == yaml.SequenceNode:
			for _, one := range value.Content {
				merged = append(merged, r.fields(one)...)
			}
		default:
			merged = append(merged, r.fields(value)...)
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(append(own, merged...), func(f field) bool {
		had := seen[f.name]
		seen[f.name] = true
		return had
	})
}

func get(fields []field, name string) *yaml.Node {
	for _, f := range fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// text is the value of a scalar; "" for anything else.
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// items lists a sequence; a scalar is a list of one.
func (r *composeReader) items(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	var list []*yaml.Node
	for _, one := range n.Content {
		if one = r.follow(one); one != nil {
			list = append(list, one)
		}
	}
	return list
}

func (r *composeReader) file(root *yaml.Node) {
	top := r.fields(root)
	r.c.Elsewhere = get(top, "include") != nil
	r.files = map[string]string{}
	for _, kind := range [...]string{"secrets", "configs"} {
		for _, f := range r.fields(get(top, kind)) {
			r.files[kind+"/"+f.name] = text(get(r.fields(f.value), "file"))
		}
	}
	for _, f := range r.fields(get(top, "services")) {
		if f.value.Kind == yaml.MappingNode {
			r.c.Services = append(r.c.Services, r.service(f))
		}
	}
}

func (r *composeReader) service(of field) ComposeService {
	fields := r.fields(of.value)
	s := ComposeService{Name: of.name, Line: of.line, Image: text(get(fields, "image")),
		User: text(get(fields, "user")), Userns: text(get(fields, "userns_mode"))}
	if user := get(fields, "user"); user != nil {
		s.UserLine = user.Line
	}
	if get(fields, "extends") != nil {
		r.c.Elsewhere = true
	}
	for _, one := range r.items(get(fields, "cap_drop")) {
		s.CapDrop = append(s.CapDrop, text(one))
	}
	for _, one := range r.items(get(fields, "cap_add")) {
		s.CapAdd = append(s.CapAdd, text(one))
	}
	for _, one := range r.items(get(fields, "volumes")) {
		s.Mounts = append(s.Mounts, r.volume(one))
	}
	for _, kind := range [...]string{"secrets", "configs"} {
		for _, one := range r.items(get(fields, kind)) {
			s.Mounts = append(s.Mounts, r.fileMount(kind, one))
		}
	}
	if n := get(fields, "environment"); n != nil && n.Kind == yaml.MappingNode {
		for _, f := range r.fields(n) {
			if f.value.Kind == yaml.ScalarNode && f.value.Tag != "!!null" {
				s.Environment = append(s.Environment, ComposeVariable{f.name, f.value.Value, f.line})
			}
		}
	} else {
		for _, one := range r.items(n) {
			if name, value, ok := strings.Cut(text(one), "="); ok {
				s.Environment = append(s.Environment, ComposeVariable{name, value, one.Line})
			}
		}
	}
	for _, one := range r.items(get(fields, "env_file")) {
		file := ComposeFile{Path: text(one), Line: one.Line}
		if one.Kind == yaml.MappingNode {
			parts := r.fields(one)
			file.Path, file.Optional = text(get(parts, "path")), text(get(parts, "required")) == "false"
		}
		if file.Path != "" {
			s.EnvFiles = append(s.EnvFiles, file)
		}
	}
	if build := get(fields, "build"); build != nil {
		s.Build = &ComposeBuild{Context: text(build), Line: build.Line}
		if build.Kind == yaml.MappingNode {
			parts := r.fields(build)
			s.Build.Context, s.Build.Dockerfile = text(get(parts, "context")), text(get(parts, "dockerfile"))
		}
		if s.Build.Context == "" {
			s.Build.Context = "."
		}
	}
	return s
}

// volume reads an entry of volumes: SOURCE:TARGET[:MODE], or a mapping.
func (r *composeReader) volume(n *yaml.Node) ComposeMount {
	if n.Kind == yaml.MappingNode {
		parts := r.fields(n)
		source := text(get(parts, "source"))
		if source == "" {
			source = text(get(parts, "src"))
		}
		target := text(get(parts, "target"))
		for _, other := range [...]string{"dst", "destination"} {
			if target == "" {
				target = text(get(parts, other))
			}
		}
		return ComposeMount{source, target, text(get(parts, "type")) == "bind", n.Line}
	}
	m := ComposeMount{Line: n.Line}
	parts := splitVolume(text(n))
	switch {
	case len(parts) == 1:
		m.Target = parts[0]
	default:
		m.Source, m.Target = parts[0], parts[1]
		// A name alone is a volume that docker keeps; a variable may be either,
		// and is a path where somebody keeps formations.
		m.Bind = strings.HasPrefix(m.Source, ".") || strings.HasPrefix(m.Source, "~") || strings.ContainsAny(m.Source, `/\$`)
	}
	return m
}

// splitVolume splits at the colons that are not inside ${NAME:-x} and do not
// follow a drive's letter.
func splitVolume(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '{' && i > 0 && text[i-1] == '$':
			depth++
		case text[i] == '}' && depth > 0:
			depth--
		case text[i] == ':' && depth == 0:
			if i-start == 1 && i+1 < len(text) && (text[i+1] == '\\' || text[i+1] == '/') && len(parts) == 0 && text[start] != '.' {
				continue // C:\formations
			}
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// fileMount reads an entry of a service's secrets or configs.
func (r *composeReader) fileMount(kind string, n *yaml.Node) ComposeMount {
	source, target := text(n), ""
	if n.Kind == yaml.MappingNode {
		parts := r.fields(n)
		source, target = text(get(parts, "source")), text(get(parts, "target"))
	}
	switch {
	case target == "" && kind == "secrets":
		target = "/run/secrets/" + source
	case target == "":
		target = "/" + source
	case !strings.HasPrefix(target, "/") && kind == "secrets":
		target = path.Join("/run/secrets", target)
	}
	file := r.files[kind+"/"+source]
	return ComposeMount{file, target, file != "", n.Line}
}

// WithImages gives a copy in which services without an image have that of
// another file, which this one adds to.
func (c *Compose) WithImages(base *Compose) *Compose {
	with := *c
	with.Services = slices.Clone(c.Services)
	for i := range with.Services {
		for _, s := range base.Services {
			if s.Name == with.Services[i].Name && with.Services[i].Image == "" {
				with.Services[i].Image = s.Image
			}
		}
	}
	return &with
}

// Override lays another file over this one, as docker compose does with an
// override: what is single is replaced, what is many is joined, mounts by their
// target and variables by their name.
func (c *Compose) Override(with *Compose) {
	c.Elsewhere = c.Elsewhere || with.Elsewhere
	for _, over := range with.Services {
		at := -1
		for i := range c.Services {
			if c.Services[i].Name == over.Name {
				at = i
			}
		}
		if at < 0 {
			c.Services = append(c.Services, over)
			continue
		}
		s := &c.Services[at]
		for _, one := range []struct {
			to *string
			by string
		}{{&s.Image, over.Image}, {&s.Userns, over.Userns}} {
			if one.by != "" {
				*one.to = one.by
			}
		}
		if over.User != "" {
			s.User, s.UserLine = over.User, over.UserLine
		}
		if over.Build != nil {
			s.Build = over.Build
		}
		s.CapDrop, s.CapAdd = append(s.CapDrop, over.CapDrop...), append(s.CapAdd, over.CapAdd...)
		s.EnvFiles = append(s.EnvFiles, over.EnvFiles...)
		for _, m := range over.Mounts {
			kept := s.Mounts[:0]
			for _, old := range s.Mounts {
				if path.Clean(old.Target) != path.Clean(m.Target) {
					kept = append(kept, old)
				}
			}
			s.Mounts = append(kept, m)
		}
		for _, v := range over.Environment {
			kept := s.Environment[:0]
			for _, old := range s.Environment {
				if old.Name != v.Name {
					kept = append(kept, old)
				}
			}
			s.Environment = append(kept, v)
		}
	}
}

// Interpolate fills in $NAME and ${NAME} with its forms :- - :? ? :+ +, as the
// Compose specification has them; $$ is a $. A name that lookup does not know is
// empty.
func Interpolate(text string, lookup func(string) (string, bool)) string {
	return interpolate(text, lookup, 0)
}

func interpolate(text string, lookup func(string) (string, bool), depth int) string {
	if !strings.Contains(text, "$") || depth > 20 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '$' || i+1 == len(text) {
			b.WriteByte(text[i])
			i++
			continue
		}
		switch next := text[i+1]; {
		case next == '$':
			b.WriteByte('$')
			i += 2
		case next == '{':
			end := closingBrace(text, i+2)
			if end < 0 {
				b.WriteString(text[i:])
				return b.String()
			}
			inside := text[i+2 : end]
			name := inside[:nameLength(inside)]
			rest := inside[len(name):]
			value, set := lookup(name)
			colon := strings.HasPrefix(rest, ":")
			rest = strings.TrimPrefix(rest, ":")
			have := set && (!colon || value != "")
			switch {
			case rest == "" || rest[0] == '?', rest[0] == '-' && have:
				b.WriteString(value)
			case rest[0] == '-', rest[0] == '+' && have:
				b.WriteString(interpolate(rest[1:], lookup, depth+1))
			}
			i = end + 1
		default:
			name := text[i+1 : i+1+nameLength(text[i+1:])]
			if name == "" {
				b.WriteByte('$')
				i++
				continue
			}
			value, _ := lookup(name)
			b.WriteString(value)
			i += 1 + len(name)
		}
	}
	return b.String()
}

func nameLength(text string) int {
	n := 0
	for n < len(text) && (isNameByte(text[n])) && (n > 0 || text[n] < '0' || text[n] > '9') {
		n++
	}
	return n
}

func closingBrace(text string, from int) int {
	depth := 0
	for i := from; i < len(text); i++ {
		switch {
		case text[i] == '{' && text[i-1] == '$':
			depth++
		case text[i] == '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
