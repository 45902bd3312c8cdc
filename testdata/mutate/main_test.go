package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A package whose test notices less than it should.
var small = map[string]string{
	"go.mod": "module example.org/small\n\ngo 1.26\n",
	"small.go": `package small

func Short(text string) bool {
	if len(text) < 4 {
		return true
	}
	return text == "short"
}
`,
	"small_test.go": `package small

import "testing"

func TestShort(t *testing.T) {
	if !Short("abc") || Short("abcdef") {
		t.Error("no")
	}
}
`,
}

func smallPackage(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range small {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
}

func TestSurvivors(t *testing.T) {
	smallPackage(t)
	before, err := os.ReadFile("small.go")
	if err != nil {
		t.Fatal(err)
	}

	var out strings.Builder
	if err := run(t.Context(), []string{"-n", "0", "-p", "2", "-only", ` -> .* ([<>]= 4|< 5)$`, "."}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	slices.Sort(lines)
	want := []string{
		".: 3 mutants, 1 killed, 2 survived, 0 ran out of time; 0 more did not compile",
		"small.go:4: len(text) < 4 -> len(text) < 5",
		"small.go:4: len(text) < 4 -> len(text) <= 4",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
	if after, err := os.ReadFile("small.go"); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed: %v\n%s", err, after)
	}
}

// Only tests that come by a mutant are run against it, those of another package and
// of programs that tests start, too.
func TestReach(t *testing.T) {
	smallPackage(t)
	for name, content := range map[string]string{
		"other_test.go": "package small\n\nimport \"testing\"\n\nfunc TestOther(t *testing.T) { t.Run(\"a\", func(t *testing.T) {}) }\n",
		"user/user_test.go": `package user

import (
	"os"
	"os/exec"
	"testing"

	"example.org/small"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 1 {
		if small.Short("abcd") {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestProgram(t *testing.T) {
	t.Run("by itself", func(t *testing.T) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"NONE=1"}
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
	})
	t.Run("never", func(t *testing.T) { t.Fatal("it is not asked for") })
}
`,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	var out strings.Builder
	if err := run(t.Context(), []string{"-n", "0", "-v", "-p", "1", "-with", "./user:TestProgram/itself", "-only", ` -> .* ([<>]= 4|< 5)$`, "."}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	if want := ".: 3 mutants, 3 killed, 0 survived, 0 ran out of time; 0 more did not compile"; !strings.Contains(out.String(), want) {
		t.Errorf("got\n%s", out.String())
	}
}

// What fails as it stands proves nothing by failing.
func TestFailingTests(t *testing.T) {
	smallPackage(t)
	failing := strings.Replace(small["small_test.go"], `"abcdef"`, `"abc"`, 1)
	if err := os.WriteFile("small_test.go", []byte(failing), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"-n", "1", "."}, t.Output(), t.Output())
	if err == nil || !strings.Contains(err.Error(), "fail as the code stands") {
		t.Errorf("got %v", err)
	}
}

// Each kind of mutant, and that it is made of the bytes it names.
func TestMutants(t *testing.T) {
	source := `package p

import "strings"

var all = []string{"a", "b"}

func f(a, b int, s string) (int, bool) {
	if a < b && !strings.ContainsAny(s, "é;") {
		g()
		a += 2
	}
	switch s {
	case "x", "y":
		return a, true
	}
	for a > 0 {
		continue
	}
	return 0, a == b
}
`
	t.Chdir(t.TempDir())
	if err := os.WriteFile("p.go", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	mutants, err := mutantsOf([]string{"p.go"})
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	for _, m := range mutants {
		content, err := m.source()
		if err != nil {
			t.Fatal(err)
		}
		made[strings.TrimPrefix(m.String(), "p.go:")] = strings.Split(string(content), "\n")[m.line-1]
	}

	for name, want := range map[string]string{
		`5: "a" -> nothing`: `var all = []string{"b"}`,
		`5: "b" -> nothing`: `var all = []string{"a"}`,
		`8: a < b && !strings.ContainsAny(s, "é;") -> false`:                                  `	if (a < b && !strings.ContainsAny(s, "é;")) && false {`,
		`8: a < b && !strings.ContainsAny(s, "é;") -> a < b`:                                  `	if a < b {`,
		`8: a < b && !strings.ContainsAny(s, "é;") -> a < b || !strings.ContainsAny(s, "é;")`: `	if a < b || !strings.ContainsAny(s, "é;") {`,
		`8: a < b -> a >= b`: `	if a >= b && !strings.ContainsAny(s, "é;") {`,
		`8: !strings.ContainsAny(s, "é;") -> strings.ContainsAny(s, "é;")`: `	if a < b && strings.ContainsAny(s, "é;") {`,
		`8: "é;" -> ";"`:                        `	if a < b && !strings.ContainsAny(s, ";") {`,
		`8: "é;" -> "é"`:                        `	if a < b && !strings.ContainsAny(s, "é") {`,
		`9: g() -> nothing`:                     `		_ = func() { g() }`,
		`10: a += 2 -> nothing`:                 `		_ = func() { a += 2 }`,
		`10: a += 2 -> a += 1`:                  `		a += 1`,
		`13: "y" -> nothing`:                    `	case "x":`,
		`14: return a -> return the zero value`: `		return func(int) (zero int) { return }(a), true`,
		`14: true -> false`:                     `		return a, false`,
		`16: a > 0 -> false`:                    `	for (a > 0) && false {`,
		`17: continue -> nothing`:               `		`,
		`19: a == b -> (a == b) || true`:        `	return 0, (a == b) || true`,
	} {
		if got, ok := made[name]; !ok || got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if t.Failed() {
		for name := range made {
			t.Log(name)
		}
	}
}
