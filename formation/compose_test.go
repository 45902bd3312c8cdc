package formation

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
  merged:
    environment:
      <<: *env
      B_KEY: null
      A_KEY: two
secrets:
  key: {file: ./agent/.key}
`
	c, err := ParseCompose([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &Compose{Services: []ComposeService{
		{
			Name: "short", Line: 7, Image: "muxi/runtime", User: "1000", UserLine: 3, CapDrop: []string{"ALL"}, CapAdd: []string{"CAP_DAC_OVERRIDE"},
			Mounts: []ComposeMount{
				{"${FORMATIONS_DIR:-./formations}", "/formations", true, 10}, {"data", "/data", false, 11}, {`C:\formations`, "/windows", true, 12}, {"", "/anonymous", false, 13},
			},
			Environment: []ComposeVariable{{"A_KEY", "one", 5}},
			EnvFiles:    []ComposeFile{{"one.env", false, 16}},
			Build:       &ComposeBuild{"./image", "", 17},
		},
		{
			Name: "long", Line: 18,
			Mounts:      []ComposeMount{{"./a", "/b", true, 20}, {"", "/c", false, 21}, {"./agent/.key", "/run/secrets/key", true, 28}},
			Environment: []ComposeVariable{{"NAME", "value=more", 23}},
			EnvFiles:    []ComposeFile{{"two.env", true, 26}},
			Build:       &ComposeBuild{".", "D", 29},
		},
		{Name: "merged", Line: 30, Environment: []ComposeVariable{{"A_KEY", "two", 34}}},
	}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if c.Services[0].Powerless() || c.Services[1].Powerless() || !(&ComposeService{CapDrop: []string{"all"}}).Powerless() {
		t.Error("Powerless")
	}
}

func TestComposeBroken(t *testing.T) {
	for _, text := range []string{"a: [", "services: {x: 'sk-secret", "\t- x: *gone", "a: *sk-secret"} {
		if c, err := ParseCompose([]byte(text)); err == nil {
			t.Errorf("%q parses: %+v", text, c)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error quotes it: %v", text, err)
		}
	}
	// What is no compose file has no services.
	for _, text := range []string{"", "x", "- a", "services: x", "services: [a]", "services: {a: b}", "services: {a: }"} {
		if c, err := ParseCompose([]byte(text)); err != nil || len(c.Services) > 0 {
			t.Errorf("%q: %v %+v", text, err, c)
		}
	}
	// Aliases that grow: refused, and soon.
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 {k: v}\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d {<<: [*a%d, *a%d]}\n", i, i, i-1, i-1)
	}
	bomb.WriteString("services: {x: {environment: *a39}}\n")
	if _, err := ParseCompose([]byte(bomb.String())); err == nil {
		t.Error("a bomb parses")
	}
}

func TestComposeOverride(t *testing.T) {
	parse := func(text string) *Compose {
		c, err := ParseCompose([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := parse("services: {a: {image: x, user: one, volumes: ['./a:/a', './b:/b'], environment: {A: 1, B: 2}}}")
	c.Override(parse("services: {a: {user: two, volumes: ['./c:/b/'], environment: [B=3]}, z: {image: y}}"))
	a := c.Services[0]
	if a.Image != "x" || a.User != "two" || len(a.Mounts) != 2 || a.Mounts[1].Source != "./c" || len(a.Environment) != 2 || a.Environment[1].Value != "3" {
		t.Errorf("got %+v", a)
	}
	if len(c.Services) != 2 || c.Services[1].Name != "z" {
		t.Errorf("got %+v", c.Services)
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
		if got := Interpolate(text, lookup); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzParseCompose(f *testing.F) {
	f.Add("services:\n  a:\n    image: x\n    volumes: ['${A:-b}:/c:ro']\n    environment: [A=b]\n", "services: {a: {user: x}}")
	f.Fuzz(func(t *testing.T, text, over string) {
		c, err := ParseCompose([]byte(text))
		if err != nil {
			return
		}
		if other, err := ParseCompose([]byte(over)); err == nil {
			c.Override(other)
		}
		for _, s := range c.Services {
			for _, m := range s.Mounts {
				Interpolate(m.Source, func(string) (string, bool) { return "${A}", true })
			}
		}
	})
}
