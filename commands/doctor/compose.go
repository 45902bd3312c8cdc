package doctor

import (
	"cmp"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// compose is what compose files say that bears on a formation's files: who
// mounts what, who is given which variables, and what is built from where. It is
// the part of the Compose specification (compose-spec.io) that doctor asks about.
//
// compose-go, the library made for it, would do: linked, it costs 2.5 MB and 15
// modules. Two things speak against it. It reads into values that no longer know
// their lines, and a remedy opens the file at one; and what it initialises at
// the start of a program every hook would wait for.
type compose struct {
	services []service // in the order of the files
	// elsewhere says that parts of it stand in files that are not read: include,
	// and extends.
	elsewhere bool
}

// service is one service, with text as the file has it: ${VARIABLES} are in it.
type service struct {
	name string
	at   place

	Image       string
	User        located
	Userns      string       `yaml:"userns_mode"`
	CapDrop     list[string] `yaml:"cap_drop"`
	CapAdd      list[string] `yaml:"cap_add"`
	Profiles    list[string]
	Extends     any
	Mounts      list[mount] `yaml:"volumes"` // and secrets and configs that have a file
	Secrets     list[grant]
	Configs     list[grant]
	Environment environment
	EnvFiles    list[envFile] `yaml:"env_file"`
	Build       *build        // nil: it builds nothing
}

// powerless reports whether root in the service is bound by the modes of files
// like everybody: the capability to pass them by was dropped.
func (s *service) powerless() bool {
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(one string) bool {
			one = strings.TrimPrefix(strings.ToUpper(one), "CAP_")
			return one == "ALL" || one == "DAC_OVERRIDE"
		})
	}
	return has(s.CapDrop) && !has(s.CapAdd)
}

// The files that docker compose finds by itself, in the order in which it
// prefers them, and those that it lays over the first.
var (
	composeNames  = [...]string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
	overrideNames = [...]string{"compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"}
)

// The kinds of compose files.
const (
	noCompose    = iota
	mainCompose  // found by itself
	overCompose  // laid over a main one
	namedCompose // for 'docker compose -f', which is how people keep one for each environment
)

// composeKind is what a file of this name is to docker compose. rank sorts the
// preferred one of a kind first.
func composeKind(base string) (kind, rank int) {
	if rank = slices.Index(composeNames[:], base); rank >= 0 {
		return mainCompose, rank
	}
	if rank = slices.Index(overrideNames[:], base); rank >= 0 {
		return overCompose, rank
	}

	stem, yes := strings.CutSuffix(base, ".yaml")
	if !yes {
		stem, yes = strings.CutSuffix(base, ".yml")
	}
	stem = strings.TrimPrefix(stem, "docker-")
	if yes && (strings.HasPrefix(stem, "compose.") || strings.HasPrefix(stem, "compose-")) {
		return namedCompose, 0
	}
	return noCompose, 0
}

// maxComposeNodes bounds how many nodes are looked at, aliases followed.
const maxComposeNodes = 100_000

var errTooMuchYAML = errors.New("it expands to too much")

// parseCompose reads a compose file. It fails where content is no YAML, or where
// it expands to more than anybody writes; what is of another type than the
// specification says is left out.
func parseCompose(file string, content []byte) (*compose, error) {
	var root yaml.Node
	if err := formation.DecodeYAML(content, &root); err != nil {
		return nil, err
	}
	if left := maxComposeNodes; !mark(&root, file, &left) {
		return nil, errTooMuchYAML
	}

	var raw struct {
		Include          any
		Services         services
		Secrets, Configs map[string]struct{ File string }
	}
	lenient(root.Decode(&raw))

	c := &compose{services: raw.Services, elsewhere: raw.Include != nil}
	for i := range c.services {
		s := &c.services[i]
		c.elsewhere = c.elsewhere || s.Extends != nil
		for _, g := range s.Secrets {
			s.Mounts = append(s.Mounts, g.mount(raw.Secrets[g.Source].File, "/run/secrets"))
		}
		for _, g := range s.Configs {
			s.Mounts = append(s.Mounts, g.mount(raw.Configs[g.Source].File, "/"))
		}
	}
	return c, nil
}

// mark has each node of a document say which file it is of, where it would hold a
// comment, and reports whether there are no more of them than are left.
func mark(n *yaml.Node, file string, left *int) bool {
	if *left--; *left < 0 {
		return false
	}
	n.HeadComment = file
	if n.Kind == yaml.AliasNode {
		return mark(n.Alias, file, left)
	}
	return !slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return !mark(child, file, left) })
}

// placeOf is where a node of a marked document stands.
func placeOf(n *yaml.Node) place { return place{n.HeadComment, n.Line} }

// lenient leaves out what is of another type than it should be: yaml.v3 fills in
// all the rest.
func lenient(err error) error {
	var types *yaml.TypeError
	if errors.As(err, &types) {
		return nil
	}
	return err
}

// list is a list; one alone need not be written as one.
type list[T any] []T

func (l *list[T]) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	}
	return lenient(n.Decode((*[]T)(l)))
}

// located is text with its place; none where the file says null.
type located struct {
	text string
	at   place
}

func (l *located) UnmarshalYAML(n *yaml.Node) error {
	l.at = placeOf(n)
	return n.Decode(&l.text)
}

// services are a mapping, in the order of the file.
type services []service

func (s *services) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		one := service{name: n.Content[i].Value, at: placeOf(n.Content[i])}
		if err := lenient(n.Content[i+1].Decode(&one)); err != nil {
			return err
		}
		*s = append(*s, one)
	}
	return nil
}

// mount is an entry of volumes: SOURCE:TARGET[:MODE], or a mapping.
type mount struct {
	Type   string // "bind": Source is a path of the host
	Source string // a path, or the name of a volume; "" for an anonymous one
	Target string

	at     place
	host   string // where Source really is, once variables are filled in; "" for what is none of the host's
	inside string // the same of Target
}

func (m *mount) UnmarshalYAML(n *yaml.Node) error {
	m.at = placeOf(n)
	if n.Kind != yaml.ScalarNode {
		type mapping mount
		return n.Decode((*mapping)(m))
	}
	parts := splitVolume(n.Value)
	if len(parts) == 1 {
		m.Target = parts[0]
		return nil
	}
	m.Source, m.Target = parts[0], parts[1]
	// A name alone is a volume that docker keeps; a variable may be either, and
	// is a path where somebody keeps formations.
	if strings.HasPrefix(m.Source, ".") || strings.HasPrefix(m.Source, "~") || strings.ContainsAny(m.Source, `/\$`) {
		m.Type = "bind"
	}
	return nil
}

// splitVolume splits at the colons that are not inside ${NAME:-x} and do not
// follow a drive's letter.
func splitVolume(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(text); i++ {
		drive := len(parts) == 0 && i == 1 && strings.HasPrefix(text[i:], `:\`) // C:\formations
		switch {
		case strings.HasPrefix(text[i:], "${"):
			depth++
		case text[i] == '}' && depth > 0:
			depth--
		case text[i] == ':' && depth == 0 && !drive:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// grant is an entry of a service's secrets or configs: NAME, or a mapping.
type grant struct {
	Source, Target string
	at             place
}

func (g *grant) UnmarshalYAML(n *yaml.Node) error {
	g.at = placeOf(n)
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&g.Source)
	}
	type mapping grant
	return n.Decode((*mapping)(g))
}

// mount is what it comes to: its file, in a folder unless it names another.
func (g *grant) mount(file, folder string) mount {
	m := mount{Source: file, Target: g.Target, at: g.at}
	if m.Target == "" {
		m.Target = g.Source
	}
	if !path.IsAbs(m.Target) {
		m.Target = path.Join(folder, m.Target)
	}
	if file != "" {
		m.Type = "bind"
	}
	return m
}

// environment is a mapping, or a list of NAME=VALUE. A name alone is taken from
// whoever starts the service, and is not listed.
type environment []variable

type variable struct {
	name, value string
	at          place
}

func (e *environment) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		var values map[string]located
		err := lenient(n.Decode(&values))
		for name, v := range values {
			if v.at.line > 0 {
				*e = append(*e, variable{name, v.text, v.at})
			}
		}
		slices.SortFunc(*e, func(a, b variable) int { return cmp.Or(a.at.line-b.at.line, strings.Compare(a.name, b.name)) })
		return err
	}

	var entries list[located]
	err := lenient(n.Decode(&entries))
	for _, entry := range entries {
		if name, value, ok := strings.Cut(entry.text, "="); ok {
			*e = append(*e, variable{name, value, entry.at})
		}
	}
	return err
}

// envFile is an entry of env_file: a path, or a mapping.
type envFile struct {
	Path     string
	Required string // "false": it may be absent
	at       place
}

func (f *envFile) UnmarshalYAML(n *yaml.Node) error {
	f.at = placeOf(n)
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&f.Path)
	}
	type mapping envFile
	return n.Decode((*mapping)(f))
}

// build is where an image is built: a folder, or a mapping.
type build struct{ Context, Dockerfile string }

func (b *build) UnmarshalYAML(n *yaml.Node) error {
	b.Context = "."
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&b.Context)
	}
	type mapping build
	return n.Decode((*mapping)(b))
}

// with lays another file over this one, as docker compose does with an override:
// what is single is replaced, what is many is joined, mounts by their target and
// variables by their name.
func (c *compose) with(over *compose) *compose {
	joined := &compose{slices.Clone(c.services), c.elsewhere || over.elsewhere}
	for _, s := range over.services {
		at := slices.IndexFunc(joined.services, func(old service) bool { return old.name == s.name })
		if at < 0 {
			joined.services = append(joined.services, s)
			continue
		}

		under := joined.services[at]
		s.at = under.at
		s.Image = cmp.Or(s.Image, under.Image)
		s.User = cmp.Or(s.User, under.User)
		s.Userns = cmp.Or(s.Userns, under.Userns)
		s.Build = cmp.Or(s.Build, under.Build)
		s.CapDrop = slices.Concat(under.CapDrop, s.CapDrop)
		s.CapAdd = slices.Concat(under.CapAdd, s.CapAdd)
		s.Profiles = slices.Concat(under.Profiles, s.Profiles)
		s.EnvFiles = slices.Concat(under.EnvFiles, s.EnvFiles)
		s.Mounts = laidOver(under.Mounts, s.Mounts, func(m mount) string { return path.Clean(m.Target) })
		s.Environment = laidOver(under.Environment, s.Environment, func(v variable) string { return v.name })
		joined.services[at] = s
	}
	return joined
}

// laidOver joins two lists; of what has one key, over counts.
func laidOver[T any](under, over []T, key func(T) string) []T {
	kept := slices.DeleteFunc(slices.Clone(under), func(old T) bool {
		return slices.ContainsFunc(over, func(one T) bool { return key(one) == key(old) })
	})
	return append(kept, over...)
}

// variableForms are $$, $NAME, and ${NAME} with what may stand behind the name, in
// which there may be other variables.
var variableForms = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?)([-?+])((?:[^{}]|\$\{[^{}]*\})*))?\})`)
})

// interpolate fills in $NAME and ${NAME} with its forms :- - :? ? :+ +, as the
// Compose specification has them; $$ is a $. A name that lookup does not know is
// empty.
func interpolate(text string, lookup func(string) (string, bool)) string {
	return variableForms().ReplaceAllStringFunc(text, func(form string) string {
		parts := variableForms().FindStringSubmatch(form)
		dollar, name, colon, sign, rest := parts[1], parts[2]+parts[3], parts[4], parts[5], parts[6]
		if dollar != "" {
			return dollar
		}

		value, set := lookup(name)
		have := set && (colon == "" || value != "")
		switch {
		case sign == "-" && !have, sign == "+" && have:
			return interpolate(rest, lookup)
		case sign == "+":
			return ""
		}
		return value
	})
}
