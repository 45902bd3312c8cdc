//go:build unix

package commands_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
	"gopkg.in/yaml.v3"
)

// Keys that go to vaults elsewhere and come back, by the very lines that
// docs/keys.md has. pass runs for real, and Vault where it is at hand; the others
// are played by programs that know the calls in testdata/keyservice, and no other.

// keysDocument returns the part of docs/keys.md below a heading.
func keysDocument(t testing.TB, heading string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "docs", "keys.md"))
	must(t, err)
	_, below, found := strings.Cut("\n"+string(content), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/keys.md has no heading '%s'", heading)
	}
	if end := regexp.MustCompile(`(?m)^##+ `).FindStringIndex(below); end != nil {
		below = below[:end[0]]
	}
	return below
}

var configLine = regexp.MustCompile(`(?m)^    (git config muxi-secrets\.key(Pull|Push)Command '.*')$`)

// recipe sets what docs/keys.md says under a heading, by running its lines.
// pull says whether there is a way back.
func (b *sandbox) recipe(heading string) (pull bool) {
	b.Helper()
	lines := configLine.FindAllStringSubmatch(keysDocument(b, heading), -1)
	if len(lines) == 0 {
		b.Fatalf("docs/keys.md has no 'git config' line below '%s'", heading)
	}
	for _, line := range lines {
		cmd := exec.Command("sh", "-c", line[1])
		cmd.Dir = b.top
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", line[1], err, out)
		}
		pull = pull || line[2] == "Pull"
	}
	return pull
}

// clone is a fresh clone of the sandbox, without its key.
func (b *sandbox) clone() *sandbox {
	b.Helper()
	b.git("add", "-A")
	b.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "all")
	top, err := filepath.EvalSymlinks(b.TempDir())
	must(b, err)
	c := &sandbox{b.TB, top, filepath.Join(top, "agent")}
	c.git("clone", "-q", b.top, ".")
	if c.read(".key") != "" {
		b.Fatal("git carried the key")
	}
	return c
}

// observed is a folder of programs, in front on PATH, that note how they are
// called.
type observed struct {
	testing.TB
	programs, calls string
	store           string // where a program that is played keeps what it is given
}

func observe(t *testing.T) *observed {
	t.Helper()
	dir := t.TempDir()
	w := &observed{t, filepath.Join(dir, "bin"), filepath.Join(dir, "calls"), filepath.Join(dir, "store")}
	must(t, os.Mkdir(w.programs, 0o755))
	must(t, os.Mkdir(w.calls, 0o755))
	t.Setenv("PATH", w.programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	return w
}

// note is how a program on w writes down its arguments and its environment.
const note = `#!/bin/sh
call=$(mktemp -d '%s/call.XXXXXX') || exit 70
printf '%%s\037' "${0##*/}" "$@" >"$call/argv"
env >"$call/env"
`

func (w *observed) program(name, script string) {
	w.Helper()
	must(w, os.WriteFile(filepath.Join(w.programs, name), fmt.Appendf(nil, note+"%s\n", w.calls, script), 0o755))
}

// through has a program that is there noted, too.
func (w *observed) through(name string) {
	w.Helper()
	path := needs.Program(w, name)
	w.program(name, fmt.Sprintf(`exec '%s' "$@"`, path))
}

// play has a program answer the calls of its recording in testdata/keyservice,
// and fail for any other. A recording is lines of a call, each with what is run
// in its place below, indented. It returns the calls.
func (w *observed) play(name string) []string {
	w.Helper()
	content, err := os.ReadFile(filepath.Join("..", "testdata", "keyservice", name))
	must(w, err)
	script := fmt.Sprintf("STORE='%s'\ncase $(cat \"$call/argv\") in\n", w.store)
	var calls []string
	for line := range strings.Lines(string(content)) {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			script += line
		default:
			call := strings.Join(strings.Fields(line), "\x1f") + "\x1f"
			if len(calls) > 0 {
				script += ";;\n"
			}
			script += "'" + call + "')\n"
			calls = append(calls, call)
		}
	}
	w.program(name, script+";;\n*) echo 'not a call of the recording' >&2; exit 64;;\nesac")
	return calls
}

// made returns the calls that there were, and fails where one had a secret in
// its arguments or its environment.
func (w *observed) made(secret string) []string {
	w.Helper()
	var calls []string
	entries, err := os.ReadDir(w.calls)
	must(w, err)
	spellings := []string{strings.TrimSpace(secret), base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(secret)))[:40]}
	for _, entry := range entries {
		for _, part := range []string{"argv", "env"} {
			content, err := os.ReadFile(filepath.Join(w.calls, entry.Name(), part))
			must(w, err)
			for _, spelling := range spellings {
				if bytes.Contains(content, []byte(spelling)) {
					w.Errorf("the key is in the %s of a program", part)
				}
			}
			if part == "argv" {
				calls = append(calls, string(content))
			}
		}
	}
	return calls
}

// sealedIn makes a formation with a key of a format and a secret.
func sealedIn(t testing.TB, format string) *sandbox {
	t.Helper()
	b := newSandbox(t, simpleExample, true)
	b.do("", "init", "--format", format)
	b.do("made-up-value", "add", "OPENAI_API_KEY", "--stdin")
	return b
}

// thereAndBack pushes a key and pulls it in a clone, as docs/keys.md says.
func thereAndBack(t *testing.T, heading string, b *sandbox) {
	t.Helper()
	key := b.read(".key")
	pull := b.recipe(heading)
	r := b.do("", "key", "push")
	if !strings.Contains(r.err, "Pushed the") || r.out != "" {
		t.Errorf("push says, with %d bytes on stdout: %s", len(r.out), r.err)
	}
	if !pull {
		return
	}
	c := b.clone()
	c.recipe(heading)
	if r := c.call(run{}, "get", "OPENAI_API_KEY"); r.code != 4 {
		t.Fatalf("without a key: exit %d", r.code)
	}
	r = c.do("", "key", "pull")
	if !strings.Contains(r.err, "Imported the") || r.out != "" {
		t.Errorf("pull says, with %d bytes on stdout: %s", len(r.out), r.err)
	}
	if c.read(".key") != key {
		t.Error("another key came back")
	}
	info, err := os.Stat(filepath.Join(c.dir, ".key"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf(".key has mode %v", info.Mode())
	}
	if r := c.do("", "get", "OPENAI_API_KEY"); r.out != "made-up-value" {
		t.Error("the key that came back opens another vault")
	}
	if r := c.do("", "key", "pull"); !strings.Contains(r.err, "has that key already") {
		t.Errorf("a second pull says: %s", r.err)
	}
	if strings.Contains(r.err, strings.TrimSpace(key)) {
		t.Error("a message holds the key")
	}
}

func TestKeyServicesRecorded(t *testing.T) {
	for _, tt := range []struct {
		heading, program string
		with             []string // programs that the recipe or the recording runs
	}{
		{"### 1Password", "op", nil},
		{"### AWS Secrets Manager", "aws", nil},
		{"### Bitwarden", "bw", []string{"jq"}},
		{"### GitHub Actions", "gh", nil},
		{"### GitLab CI", "glab", nil},
	} {
		for _, format := range []string{"fernet", "age"} {
			t.Run(tt.program+" "+format, func(t *testing.T) {
				isolateProcess(t)
				w := observe(t)
				for _, program := range tt.with {
					w.through(program)
				}
				want := w.play(tt.program)
				b := sealedIn(t, format)
				thereAndBack(t, tt.heading, b)
				made := w.made(b.read(".key"))
				made = slices.DeleteFunc(made, func(call string) bool { return !strings.HasPrefix(call, tt.program+"\x1f") })
				slices.Sort(made)
				slices.Sort(want)
				if made = slices.Compact(made); !slices.Equal(made, want) {
					t.Errorf("the calls were\n%q\nrecorded are\n%q", made, want)
				}
				stored, err := os.ReadFile(w.store)
				must(t, err)
				if strings.TrimSpace(string(stored)) != strings.TrimSpace(b.read(".key")) {
					t.Error("another key was stored")
				}
			})
		}
	}
}

// A service that fails: the exit code is its recipe's, and nothing changes.
func TestKeyServicesThatFail(t *testing.T) {
	for heading, program := range map[string]string{
		"### 1Password": "op", "### AWS Secrets Manager": "aws", "### Bitwarden": "bw", "### pass": "pass",
		"### HashiCorp Vault, OpenBao": "vault", "### GitHub Actions": "gh", "### GitLab CI": "glab",
	} {
		t.Run(program, func(t *testing.T) {
			isolateProcess(t)
			if program == "bw" {
				needs.Program(t, "jq")
			}
			w := observe(t)
			w.program(program, "echo 'not signed in' >&2; exit 1")
			b := sealedIn(t, "fernet")
			pull := b.recipe(heading)
			before := b.tree()
			if r := b.call(run{}, "key", "push"); r.code != 3 || !strings.Contains(r.err, "not signed in") {
				t.Errorf("push: exit %d\n%s", r.code, r.err)
			}
			if r := b.call(run{}, "key", "pull"); pull && (r.code != 3 || !strings.Contains(r.err, "not signed in")) {
				t.Errorf("pull: exit %d\n%s", r.code, r.err)
			}
			if differ := differing(before, b.tree()); len(differ) > 0 {
				t.Errorf("%v changed", differ)
			}
			w.made(b.read(".key"))
		})
	}
}

func TestKeyServicePass(t *testing.T) {
	needs.Program(t, "bash") // what pass is written for
	needs.Program(t, "pass")
	needs.Program(t, "gpg")
	isolateProcess(t)
	// The agent's socket has a path of at most some hundred characters.
	home, err := os.MkdirTemp("/tmp", "gpg")
	must(t, err)
	t.Setenv("GNUPGHOME", home)
	t.Setenv("PASSWORD_STORE_DIR", filepath.Join(t.TempDir(), "store"))
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	for _, args := range [][]string{
		{"gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "test@example.com", "default", "default", "never"},
		{"pass", "init", "test@example.com"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	w := observe(t)
	w.through("pass")
	w.through("gpg")
	for _, format := range []string{"fernet", "age"} {
		b := sealedIn(t, format)
		thereAndBack(t, "### pass", b)
		if len(w.made(b.read(".key"))) == 0 {
			t.Error("pass was not called")
		}
	}
}

func TestKeyServiceVault(t *testing.T) {
	isolateProcess(t)
	w := observe(t)
	t.Setenv("VAULT_TOKEN", "made-up-token")
	real := ""
	for _, program := range []string{"vault", "bao"} {
		if path, err := exec.LookPath(program); err == nil && real == "" {
			real = path
		}
	}
	if real != "" {
		t.Logf("against %s", real)
		t.Setenv("VAULT_ADDR", vaultServer(t, real))
		w.program("vault", fmt.Sprintf(`exec '%s' "$@"`, real))
	} else {
		needs.Program(t, "jq")
		needs.Program(t, "curl")
		server := httptest.NewServer(&kv2{versions: map[string][]json.RawMessage{}})
		t.Cleanup(server.Close)
		t.Setenv("VAULT_ADDR", server.URL)
		w.play("vault")
	}
	for _, format := range []string{"fernet", "age"} {
		b := sealedIn(t, format)
		thereAndBack(t, "### HashiCorp Vault, OpenBao", b)
		if len(w.made(b.read(".key"))) == 0 {
			t.Error("vault was not called")
		}
	}
}

// vaultServer starts a real server, in memory, and returns its address.
func vaultServer(t *testing.T, program string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	free.Close()
	cmd := exec.Command(program, "server", "-dev", "-dev-root-token-id=made-up-token", "-dev-listen-address="+address)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 300 {
		if answer, err := http.Get("http://" + address + "/v1/sys/health"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not answer", program)
	return ""
}

// kv2 is as much of Vault's API for versioned secrets as its CLI needs for
// 'kv put' and 'kv get': developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2.
// One test talks to it, a request at a time.
type kv2 struct{ versions map[string][]json.RawMessage }

func (s *kv2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, data := strings.CutPrefix(r.URL.Path, "/v1/secret/data/")
	versions := s.versions[path]
	var body struct {
		Data json.RawMessage `json:"data"`
	}
	switch {
	case r.Header.Get("X-Vault-Token") != "made-up-token":
		http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
	case data && (r.Method == http.MethodPost || r.Method == http.MethodPut):
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Data == nil {
			http.Error(w, `{"errors":["no data provided"]}`, http.StatusBadRequest)
			return
		}
		s.versions[path] = append(versions, body.Data)
		fmt.Fprintf(w, `{"data":{"version":%d}}`, len(versions)+1)
	case data && r.Method == http.MethodGet && len(versions) > 0:
		fmt.Fprintf(w, `{"data":{"data":%s,"metadata":{"version":%d}}}`, versions[len(versions)-1], len(versions))
	default:
		http.Error(w, `{"errors":[]}`, http.StatusNotFound)
	}
}

// The steps of docs/keys.md for CI take a key in, and stop the job where it is
// missing or another one's.
func TestKeyInCI(t *testing.T) {
	sideBySide(t)
	needs.Program(t, "bash")
	origin := newSandbox(t, simpleExample, true)
	must(t, os.Mkdir(filepath.Join(origin.top, "formations"), 0o755))
	must(t, os.Rename(origin.dir, filepath.Join(origin.top, "formations", "my-agent")))
	origin.dir = filepath.Join(origin.top, "formations", "my-agent")
	origin.do("", "init")
	origin.do("made-up-value", "add", "OPENAI_API_KEY", "--stdin")
	key := origin.read(".key")
	other := sealedIn(t, "fernet").read(".key")

	var github []struct{ Run string }
	must(t, yaml.Unmarshal([]byte(yamlBlock(t, "### GitHub Actions")), &github))
	var gitlab struct{ Script []string }
	must(t, yaml.Unmarshal([]byte(yamlBlock(t, "### GitLab CI")), &gitlab))
	file := regexp.MustCompile("`(git muxi-secrets key import [^`]*)`").FindStringSubmatch(keysDocument(t, "### GitLab CI"))
	if len(github) != 1 || len(gitlab.Script) != 1 || file == nil {
		t.Fatal("docs/keys.md has not the steps that this test runs")
	}
	stored := filepath.Join(t.TempDir(), "variable")
	for _, tt := range []struct {
		name, shell, step string
		inFile            bool
	}{
		{"GitHub", "bash", github[0].Run, false},
		{"GitLab", "bash", gitlab.Script[0], false},
		{"GitLab in sh", "sh", gitlab.Script[0], false},
		{"GitLab, a file", "sh", file[1], true},
	} {
		for _, variant := range []struct {
			name, value string
			code        int
		}{{"its key", key, 0}, {"no key", "", 2}, {"the key of another", other, 4}, {"a part of it", key[:20], 2}} {
			c := origin.clone()
			dir, value := c.top, variant.value
			if tt.inFile {
				dir = filepath.Join(c.top, "formations", "my-agent")
				must(t, os.WriteFile(stored, []byte(value), 0o600))
				value = stored
			}
			cmd := exec.Command(tt.shell, "-e", "-c", tt.step)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "PWD="+dir, "FORMATION_KEY="+value)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != variant.code {
				t.Errorf("%s, %s: exit %d, want %d\n%s", tt.name, variant.name, code, variant.code, out)
			}
			c.dir = filepath.Join(c.top, "formations", "my-agent")
			if got := c.read(".key"); (variant.code == 0) != (got == key) || variant.code != 0 && got != "" {
				t.Errorf("%s, %s: .key has %d bytes", tt.name, variant.name, len(got))
			}
		}
	}
}

func yamlBlock(t testing.TB, heading string) string {
	t.Helper()
	_, block, _ := strings.Cut(keysDocument(t, heading), "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatalf("docs/keys.md has no yaml below '%s'", heading)
	}
	return block
}

// hostileFolders are names that would do something in a shell that took them
// for its own.
var hostileFolders = []string{
	"plain", "two words", "a'b", `a"b`, "$(touch pwned)", "`touch pwned`", "a;touch pwned", "a\ntouch pwned", "a&touch pwned", "a|touch pwned",
	`back\slash`, `ends in \`, "'; touch pwned; '", `"; touch pwned; "`, `'"$(touch pwned)"'`, `"'$(touch pwned)'"`, "*", "~", "$HOME", "${HOME}", "#x", "a)touch pwned",
	"a\ttab", "{name}", "{formation}", "%s", "!!", "\u00e9\u4e2d", " blanks ", "-n", ")touch pwned", "$'\\n'", "<x", ">pwned", "&& touch pwned",
}

// TestPlaceholders: wherever {name} and {formation} stand, they are the folder's
// name to the byte.
func TestPlaceholders(t *testing.T) {
	isolateProcess(t)
	// Each word of the command, and what it is with N for the name and F for the path.
	words := [][2]string{
		{`{name}`, "N"}, {`x{name}y`, "xNy"}, {`"{name}"`, "N"}, {`"x {name} y"`, "x N y"}, {`'{name}'`, "N"}, {`'x {name} y'`, "x N y"},
		{`{formation}`, "F"}, {`team/{formation}/key`, "team/F/key"}, {`"{formation}"'{name}'{name}`, "FNN"},
		{`'it'\''s {name}'`, "it's N"}, {`"it's {name}"`, "it's N"}, {`'say "{name}"'`, `say "N"`}, {`"say \"{name}\""`, `say "N"`}, {`\"{name}\"`, `"N"`}, {`\'{name}\'`, "'N'"},
		{`"\\{name}"`, `\N`}, {`\\{name}`, `\N`}, {`'\'{name}'\'`, `\N\`}, {`"$"{name}`, "$N"}, {`{name}{name}`, "NN"}, {`{nam}{other}`, "{nam}{other}"},
	}
	testPlaceholders(t, words)
}

// TestPlaceholdersNested is the same within command substitutions, where quotes
// begin anew.
func TestPlaceholdersNested(t *testing.T) {
	isolateProcess(t)
	testPlaceholders(t, [][2]string{
		{`"$(printf %s. {name})"`, "N."}, {`"$(printf %s. "{name}")"`, "N."}, {`"$(printf %s. '{name}')"`, "N."}, {`"$(printf %s. "$(printf %s "{name}")")"`, "N."},
		{`"$(printf %s. {name}) {name}"`, "N. N"}, {`"$( (printf %s. {name}) )"`, "N."}, {`"(it's) {name}"`, "(it's) N"}, {"\"`printf %s. {name}`\"", "N."}, {`"${none:-{name}}"`, "N"},
	})
}

func testPlaceholders(t *testing.T, words [][2]string) {
	t.Helper()
	var command strings.Builder
	command.WriteString(`cat >/dev/null; printf '%s\0'`)
	for _, word := range words {
		command.WriteString(" " + word[0])
	}
	command.WriteString(` >"$OUTPUT"`)
	output := filepath.Join(t.TempDir(), "output")
	t.Setenv("OUTPUT", output)
	sealed := sealedIn(t, "fernet")
	sealed.git("config", "muxi-secrets.keyPushCommand", command.String())
	for _, name := range hostileFolders {
		for _, path := range []string{name, "dev/" + name} {
			dir := filepath.Join(sealed.top, path)
			must(t, os.MkdirAll(filepath.Dir(dir), 0o755))
			must(t, os.Rename(sealed.dir, dir))
			sealed.dir = dir
			must(t, os.RemoveAll(output))
			if r := sealed.call(run{}, "key", "push"); r.code != 0 {
				t.Errorf("%q: exit %d\n%s", path, r.code, r.err)
				continue
			}
			content, err := os.ReadFile(output)
			must(t, err)
			got := strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
			if len(got) != len(words) {
				t.Errorf("%q: %d words, want %d: %q", path, len(got), len(words), got)
				continue
			}
			for i, word := range words {
				// N and F stand for themselves nowhere else.
				if want := strings.NewReplacer("N", name, "F", path).Replace(word[1]); got[i] != want {
					t.Errorf("%q: %s is %q, want %q", path, word[0], got[i], want)
				}
			}
		}
	}
	must(t, filepath.WalkDir(sealed.top, func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.Name() == "pwned" {
			t.Error("a folder's name was run")
		}
		return err
	}))
}

// TestPlaceholdersMisread: where the shell reads a command otherwise than we do,
// a folder's name may come out wrong, and is still not run.
func TestPlaceholdersMisread(t *testing.T) {
	long(t)
	sideBySide(t)
	b := sealedIn(t, "fernet")
	for _, command := range []string{
		"# don't\necho {name}", "# say \"\necho {formation}", "cat <<E\n{name}\nE", "cat <<'E'\n{name}\nE", "cat <<E\n'{name}'\nE", "case x in x) echo {name};; esac", "echo \"$(case x in x) echo {name};; esac)\"",
		"echo `echo \\`echo {name}\\``", "echo \"${x:-'{name}'}\"", "echo $'it\\'s {name}'", "echo \"`echo \"{name}\"`\"", "echo $(( {name} ))", "echo \\\n{name}", "echo ${x:-\"{name}\"}", "echo '", "echo \"{name}", "echo $({name}",
	} {
		b.git("config", "muxi-secrets.keyPushCommand", command)
		for _, name := range hostileFolders {
			dir := filepath.Join(b.top, name)
			must(t, os.Rename(b.dir, dir))
			b.dir = dir
			if r := b.call(run{}, "key", "push"); r.code != 0 && r.code != 3 {
				t.Errorf("%q: exit %d\n%s", command, r.code, r.err)
			}
			if _, err := os.Stat(filepath.Join(b.top, "pwned")); err == nil {
				t.Fatalf("%q: a folder's name was run: %q", command, name)
			}
		}
	}
}

// The formation at the top of the repository has a name as well.
func TestPlaceholdersAtTheTop(t *testing.T) {
	sideBySide(t)
	b := sealedIn(t, "fernet")
	must(t, os.RemoveAll(filepath.Join(b.top, ".git")))
	b.top = b.dir
	b.git("init", "-q")
	b.git("config", "muxi-secrets.keyPushCommand", `cat >/dev/null; echo "{formation} {name} $(pwd)" >&2`)
	if r := b.do("", "key", "push"); !strings.Contains(r.err, ". agent "+b.top+"\n") {
		t.Errorf("it said: %s", r.err)
	}
	must(t, os.Mkdir(filepath.Join(b.dir, "mcp"), 0o755))
	from := &sandbox{t, b.top, filepath.Join(b.dir, "mcp")}
	if r := from.do("", "key", "push"); !strings.Contains(r.err, ". agent "+b.top+"\n") {
		t.Errorf("from a folder below it said: %s", r.err)
	}
}

// TestPullGoesWrong: each way has its exit code, and nothing changes.
func TestPullGoesWrong(t *testing.T) {
	long(t)
	isolateProcess(t)
	other := strings.TrimSpace(sealedIn(t, "fernet").read(".key"))
	otherAge := strings.TrimSpace(sealedIn(t, "age").read(".key"))
	tests := []struct {
		name, command string
		code          int
		says          string
	}{
		{"none", "", 2, "docs/keys.md"},
		{"only blanks", "  \t", 2, "docs/keys.md"},
		{"fails", "echo reason >&2; exit 7", 3, "reason"},
		{"fails with a key printed", "cat \"$THEIRS\"; exit 1", 3, "failed"},
		{"no such program", "no-such-program-here", 3, "no-such-program-here"},
		{"no shell text", "'", 3, "failed"},
		{"killed", "kill -9 $$", 3, "killed"},
		{"prints nothing", "true", 3, "printed nothing"},
		{"prints a newline", "echo", 3, "printed nothing"},
		{"prints too much", "head -c 3000000 /dev/zero", 3, ""},
		{"never ends", "yes", 3, ""},
		{"prints no key", "echo 'Error: item not found'", 2, "no key"},
		{"prints part of a key", "head -c 20 \"$THEIRS\"", 2, "no key"},
		{"prints a wrong key", "cat \"$THEIRS\"", 4, ""},
		{"prints a wrong key of the other format", "cat \"$THEIRS_AGE\"", 4, ""},
		{"waits for input", "cat", 3, "printed nothing"},
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	must(t, os.WriteFile(theirs, []byte(other), 0o600))
	must(t, os.WriteFile(theirs+".age", []byte(otherAge), 0o600))
	t.Setenv("THEIRS", theirs)
	t.Setenv("THEIRS_AGE", theirs+".age")
	origin := sealedIn(t, "fernet")
	clone := origin.clone()
	for _, b := range []*sandbox{origin, clone} {
		for _, tt := range tests {
			name := tt.name
			if b == clone {
				name += ", without a key"
			}
			t.Run(name, func(t *testing.T) {
				b.git("config", "muxi-secrets.keyPullCommand", tt.command)
				before := b.tree()
				r := b.call(run{stdin: other}, "key", "pull")
				if r.code != tt.code || !strings.Contains(r.err, tt.says) || !strings.Contains(r.err, "hint: ") {
					t.Errorf("exit %d, want %d\n%s", r.code, tt.code, r.err)
				}
				if differ := differing(before, b.tree()); len(differ) > 0 || len(b.leftovers()) > 0 {
					t.Errorf("%v changed", differ)
				}
				for _, key := range []string{other, otherAge, other[:20]} {
					if strings.Contains(r.out+r.err, key) {
						t.Error("a key is in the output")
					}
				}
			})
		}
	}
}

// A key with blanks or a newline around it, or sealed, is taken all the same.
func TestPullOfOtherSpellings(t *testing.T) {
	sideBySide(t)
	origin := sealedIn(t, "fernet")
	key := filepath.Join(origin.dir, ".key")
	for _, command := range []string{"cat '%s'", "cat '%s'; echo", "cat '%s'; printf '\\r\\n'", "echo; cat '%s'"} {
		c := origin.clone()
		c.git("config", "muxi-secrets.keyPullCommand", fmt.Sprintf(command, key))
		c.do("", "key", "pull")
		if c.read(".key") != origin.read(".key") {
			t.Errorf("%s: .key is spelled otherwise", command)
		}
	}
}

func TestPushGoesWrong(t *testing.T) {
	isolateProcess(t)
	other := sealedIn(t, "fernet").read(".key")
	marker := filepath.Join(t.TempDir(), "ran")
	t.Setenv("MARKER", marker)
	for _, tt := range sample([]struct {
		name, command string
		prepare       func(*sandbox)
		code          int
		ran           bool
	}{
		{"a key that does not open the vault", `touch "$MARKER"`, func(b *sandbox) { b.write(".key", other); b.forgetKeys() }, 4, false},
		{"a malformed key", `touch "$MARKER"`, func(b *sandbox) { b.write(".key", "not a key") }, 4, false},
		{"no key", `touch "$MARKER"`, (*sandbox).loseKey, 4, false},
		{"a damaged vault", `touch "$MARKER"`, func(b *sandbox) { b.write("secrets.enc", "<<<<<<< ours\n") }, 3, false},
		{"none", "", func(*sandbox) {}, 2, false},
		{"fails", `touch "$MARKER"; exit 5`, func(*sandbox) {}, 3, true},
		{"does not read", `touch "$MARKER"`, func(*sandbox) {}, 0, true},
		{"prints much", `touch "$MARKER"; cat; head -c 3000000 /dev/zero`, func(*sandbox) {}, 0, true},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			b := sealedIn(t, "fernet")
			b.git("config", "muxi-secrets.keyPushCommand", tt.command)
			tt.prepare(b)
			key := b.read(".key")
			before := b.tree()
			must(t, os.RemoveAll(marker))
			r := b.call(run{}, "key", "push")
			if r.code != tt.code {
				t.Errorf("exit %d, want %d\n%s", r.code, tt.code, r.err)
			}
			if _, err := os.Stat(marker); (err == nil) != tt.ran {
				t.Errorf("the command ran: %v", err == nil)
			}
			if differ := differing(before, b.tree()); len(differ) > 0 {
				t.Errorf("%v changed", differ)
			}
			if r.out != "" || key != "" && strings.Contains(r.err, key) {
				t.Error("what the command printed came out")
			}
		})
	}
}

// A clone brings settings along, and must never bring a command.
func TestKeyCommandsFromAClone(t *testing.T) {
	long(t)
	sideBySide(t)
	marker := filepath.Join(t.TempDir(), "ran")
	for _, content := range []string{
		"keyPullCommand: touch '%s'\nkeyPushCommand: touch '%s'\n",
		"muxi-secrets:\n  keyPullCommand: touch '%s'\n  keyPushCommand: touch '%s'\n",
		"muxi-secrets.keyPullCommand: touch '%s'\nmuxi-secrets.keyPushCommand: touch '%s'\n",
	} {
		b := sealedIn(t, "fernet")
		must(t, os.WriteFile(filepath.Join(b.top, ".muxi-secrets.yaml"), fmt.Appendf(nil, content, marker, marker), 0o644))
		// Files that git itself would take settings from, were they elsewhere.
		for _, name := range []string{".gitconfig", ".git-config", "config", ".gitmodules"} {
			must(t, os.WriteFile(filepath.Join(b.top, name), fmt.Appendf(nil, "[muxi-secrets]\n\tkeyPullCommand = touch '%s'\n\tkeyPushCommand = touch '%s'\n", marker, marker), 0o644))
		}
		for _, args := range [][]string{{"key", "pull"}, {"key", "push"}} {
			if r := b.call(run{}, args...); r.code != 2 {
				t.Errorf("%v: exit %d\n%s", args, r.code, r.err)
			}
		}
		if r := b.call(run{}, "check"); r.code != 2 || !strings.Contains(r.err, ".muxi-secrets.yaml") {
			t.Errorf("check: exit %d\n%s", r.code, r.err)
		}
		if _, err := os.Stat(marker); err == nil {
			t.Error("the command was run")
		}
	}
}

// With --all each formation has its own key.
func TestPushAndPullAll(t *testing.T) {
	isolateProcess(t)
	w := observe(t)
	t.Setenv("STORE", w.calls)
	b := newSandbox(t, simpleExample, true)
	keys := map[string]string{}
	for _, path := range []string{"dev/agent", "prod/agent", "two words"} {
		dir := filepath.Join(b.top, path)
		must(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "testdata", "formations", simpleExample))))
		one := &sandbox{t, b.top, dir}
		one.do("", "init")
		keys[path] = one.read(".key")
	}
	must(t, os.RemoveAll(b.dir))
	for _, config := range [][2]string{
		{"muxi-secrets.keyPushCommand", `mkdir -p "$STORE"/{formation} && cat >"$STORE/{formation}/key"`},
		{"muxi-secrets.keyPullCommand", `cat "$STORE/{formation}/key"`},
	} {
		b.git("config", config[0], config[1])
	}
	b.dir = b.top
	b.do("", "key", "push", "--all")
	for path := range keys {
		must(t, os.Remove(filepath.Join(b.top, path, ".key")))
	}
	must(t, os.Remove(filepath.Join(w.calls, "prod/agent/key")))
	// What works is done; the exit code says that not all did.
	if r := b.call(run{}, "key", "pull", "--all"); r.code != 3 || !strings.Contains(r.err, "prod/agent") {
		t.Errorf("pull: exit %d\n%s", r.code, r.err)
	}
	for path, key := range keys {
		if got := b.read(filepath.Join(path, ".key")); (got == key) != (path != "prod/agent") {
			t.Errorf("%s: .key has %d bytes", path, len(got))
		}
	}
}
