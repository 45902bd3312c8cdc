package doctor

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseCompose(t *testing.T) {
	const text = `x-common: &common
  image: muxi/runtime
  user: "1000"
  environment: &env
    A_KEY: one
services:
  short:
    <<: *common
    volumes:
      - ${FORMATIONS_DIR:-./formations}:/formations:ro
      - data:/data
      - C:\formations:/windows
      - /anonymous
    cap_drop: ALL
    cap_add: [CAP_DAC_OVERRIDE]
    env_file: one.env
    build: ./image
  long:
    volumes:
      - {type: bind, source: ./a, target: /b}
      - {type: tmpfs, target: /c}
    environment:
      - NAME=value=more
      - OUTSIDE
    env_file:
      - path: two.env
        required: false
    secrets: [key]
    build: {context: ., dockerfile: D}
    profiles: [test]
  merged:
    environment:
      <<: *env
      B_KEY: null
      A_KEY: two
secrets:
  key: {file: ./agent/.key}
`
	c, err := parseCompose("c", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	at := func(line int) place { return place{"c", line} }
	mounted := func(source, target, kind string, line int) mount {
		return mount{Type: kind, Source: source, Target: target, at: at(line)}
	}
	want := &compose{services: []service{
		{
			name: "short", at: at(7), Image: "muxi/runtime", User: located{"1000", at(3)}, CapDrop: []string{"ALL"}, CapAdd: []string{"CAP_DAC_OVERRIDE"},
			Mounts: []mount{
				mounted("${FORMATIONS_DIR:-./formations}", "/formations", "bind", 10), mounted("data", "/data", "", 11),
				mounted(`C:\formations`, "/windows", "bind", 12), mounted("", "/anonymous", "", 13),
			},
			Environment: []variable{{"A_KEY", "one", at(5)}},
			EnvFiles:    []envFile{{"one.env", "", at(16)}},
			Build:       &build{"./image", ""},
		},
		{
			name: "long", at: at(18), Profiles: []string{"test"},
			Mounts:      []mount{mounted("./a", "/b", "bind", 20), mounted("", "/c", "tmpfs", 21), mounted("./agent/.key", "/run/secrets/key", "bind", 28)},
			Secrets:     []grant{{"key", "", at(28)}},
			Environment: []variable{{"NAME", "value=more", at(23)}},
			EnvFiles:    []envFile{{"two.env", "false", at(26)}},
			Build:       &build{".", "D"},
		},
		{name: "merged", at: at(31), Environment: []variable{{"A_KEY", "two", at(35)}}},
	}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if c.services[0].powerless() || c.services[1].powerless() || !(&service{CapDrop: []string{"all"}}).powerless() {
		t.Error("powerless")
	}
}

func TestComposeBroken(t *testing.T) {
	for _, text := range []string{"a: [", "services: {x: 'sk-secret", "\t- x: *gone", "a: *sk-secret"} {
		if c, err := parseCompose("c", []byte(text)); err == nil {
			t.Errorf("%q parses: %+v", text, c)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error quotes it: %v", text, err)
		}
	}
	// What is no compose file has no services.
	for _, text := range []string{"", "x", "- a", "services: x", "services: [a]", "services: {}"} {
		if c, err := parseCompose("c", []byte(text)); err != nil || len(c.services) > 0 {
			t.Errorf("%q: %v %+v", text, err, c)
		}
	}
	// One field that is of another type does not hide the rest.
	c, err := parseCompose("c", []byte("services: {a: b, c: {image: [x], environment: {A: [], B: c}, volumes: {a: b}, user: 1, cap_drop: {}}}"))
	if err != nil || len(c.services) != 2 || c.services[1].User.text != "1" || len(c.services[1].Environment) != 1 || c.services[1].Environment[0].value != "c" {
		t.Errorf("%v %+v", err, c)
	}
	// Aliases that grow: refused, and soon.
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 {k: v}\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d {<<: [*a%d, *a%d]}\n", i, i, i-1, i-1)
	}
	bomb.WriteString("services: {x: {environment: *a39}}\n")
	if _, err := parseCompose("c", []byte(bomb.String())); err == nil {
		t.Error("a bomb parses")
	}
}

func TestComposeOverride(t *testing.T) {
	parse := func(text string) *compose {
		c, err := parseCompose("c", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := parse("services: {a: {image: x, user: one, volumes: ['./a:/a', './b:/b'], environment: {A: 1, B: 2}}}")
	c = c.with(parse("services: {a: {user: two, volumes: ['./c:/b/'], environment: [B=3]}, z: {image: y}}"))
	a := c.services[0]
	if a.Image != "x" || a.User.text != "two" || len(a.Mounts) != 2 || a.Mounts[1].Source != "./c" || len(a.Environment) != 2 || a.Environment[1].value != "3" {
		t.Errorf("got %+v", a)
	}
	if len(c.services) != 2 || c.services[1].name != "z" {
		t.Errorf("got %+v", c.services)
	}
}

func TestInterpolate(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"SET": "value", "EMPTY": ""}[name]
		return value, ok
	}
	for text, want := range map[string]string{
		"plain": "plain", "$SET/x": "value/x", "${SET}x": "valuex", "${GONE}": "", "$GONE.": ".",
		"${GONE:-./formations}": "./formations", "${EMPTY:-x}": "x", "${EMPTY-x}": "", "${SET:-x}": "value",
		"${GONE:-${SET}}": "value", "${GONE-${OTHER:-y}}z": "yz", "${SET:+yes}": "yes", "${GONE:+yes}": "", "${SET:?must}": "value",
		"$$SET": "$SET", "$": "$", "a$": "a$", "${OPEN": "${OPEN", "$5": "$5",
	} {
		if got := interpolate(text, lookup); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzParseCompose(f *testing.F) {
	f.Add("services:\n  a:\n    image: x\n    volumes: ['${A:-b}:/c:ro']\n    environment: [A=b]\n", "services: {a: {user: x}}")
	f.Fuzz(func(t *testing.T, text, over string) {
		c, err := parseCompose("c", []byte(text))
		if err != nil {
			return
		}
		if other, err := parseCompose("c", []byte(over)); err == nil {
			c = c.with(other)
		}
		for _, s := range c.services {
			for _, m := range s.Mounts {
				interpolate(m.Source, func(string) (string, bool) { return "${A}", true })
			}
		}
	})
}
