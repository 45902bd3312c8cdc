//go:build linux

package commands_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// needDocker skips, naming what is missing; where CI=true that is fatal.
func needDocker(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("docker: it takes minutes, and -short is given")
	}
	if os.Getuid() != 0 {
		needs.Missing(t, "docker: an image is built with debootstrap, which needs root")
	}
	for _, tool := range []string{"docker", "docker-compose", "debootstrap"} {
		needs.Program(t, tool)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "info").CombinedOutput(); err != nil {
		needs.Missing(t, "docker: no engine answers: %v\n%s", err, out)
	}
}

// dockerCache keeps the tree of the image from run to run, as go test keeps what it
// has built: the tests' own folder for temporary files goes with each.
var dockerCache = func() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "git-muxi-secrets-docker")
}()

// dockerized is MUXI's guide on disk: its compose file, and formations/ beside.
type dockerized struct {
	*sandbox
	host string // DOCKER_HOST, "" for the usual one
}

// newDockerized makes the folder and builds the image.
func newDockerized(t *testing.T, host string) *dockerized {
	t.Helper()
	// An engine with user namespaces goes to the folder as somebody else.
	top, err := os.MkdirTemp("", "muxi-docker-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(top) })
	must(t, os.Chmod(top, 0o755))
	d := &dockerized{&sandbox{TB: t, top: top, dir: top}, host}
	cmd := exec.Command("/bin/sh", filepath.Join("..", "testdata", "docker", "build.sh"))
	cmd.Env = d.environ()
	if dockerCache != "" && os.Getenv("GIT_MUXI_SECRETS_DOCKER_CACHE") == "" {
		cmd.Env = append(cmd.Env, "GIT_MUXI_SECRETS_DOCKER_CACHE="+dockerCache)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the image: %v\n%s", err, out)
	}
	compose, err := os.ReadFile(filepath.Join("..", "testdata", "docker", "docker-compose.yml"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(top, "docker-compose.yml"), compose, 0o644))
	d.git("init", "-q")
	return d
}

func (d *dockerized) environ() []string {
	env := os.Environ()
	if d.host != "" {
		env = append(env, "DOCKER_HOST="+d.host)
	}
	return env
}

// formation makes formations/NAME with two secrets; config is its file.
func (d *dockerized) formation(name, config string, values map[string]string) {
	d.Helper()
	dir := filepath.Join(d.top, "formations", name)
	must(d, os.MkdirAll(dir, 0o755))
	must(d, os.WriteFile(filepath.Join(dir, "formation.afs"), []byte(config), 0o644))
	for name, value := range values {
		d.do(value, "-C", dir, "add", name, "--stdin")
	}
}

// started is what one formation came to in a container.
type started struct {
	Formation string
	Error     string
	Strings   map[string]struct {
		SHA256 string
		Left   bool // a ${{ is still in it
	}
}

// up is `docker-compose up`, to its end: by formation, what its loader says.
func (d *dockerized) up() map[string]started {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	project := strings.ToLower(filepath.Base(d.top))
	compose := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "docker-compose", append([]string{"-p", project}, args...)...)
		cmd.Dir, cmd.Env = d.top, d.environ()
		return cmd
	}
	var out, errs bytes.Buffer
	cmd := compose("up", "--no-color", "--no-log-prefix", "--exit-code-from", "muxi")
	cmd.Stdout, cmd.Stderr = &out, &errs
	runErr := cmd.Run()
	if text, err := compose("down").CombinedOutput(); err != nil {
		d.Errorf("docker-compose down: %v\n%s", err, text)
	}
	found := map[string]started{}
	for line := range strings.Lines(out.String()) {
		var one started
		if json.Unmarshal([]byte(line), &one) == nil && one.Formation != "" {
			found[one.Formation] = one
		}
	}
	if len(found) == 0 {
		d.Fatalf("nothing was loaded: %v\n%s%s", runErr, out.String(), errs.String())
	}
	return found
}

// predicts holds that doctor says of formations/NAME that a check is in a state.
func (d *dockerized) predicts(name, check, state string) {
	d.Helper()
	env := []string{}
	if d.host != "" {
		env = append(env, "DOCKER_HOST="+d.host)
	}
	r := d.spawn(run{env: env}, "doctor", "--json")
	var report struct {
		Checks []struct{ Formation, Check, State string }
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		d.Fatalf("doctor: %v\n%s", err, r.err)
	}
	var said []string
	for _, c := range report.Checks {
		if c.Formation == "formations/"+name {
			if c.Check == check && c.State == state {
				if state == "fail" && r.code != 1 {
					d.Errorf("doctor exits %d", r.code)
				}
				return
			}
			said = append(said, c.Check+" "+c.State)
		}
	}
	d.Errorf("doctor does not say '%s %s' of %s: %s", check, state, name, strings.Join(said, ", "))
}

func sum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// has holds that a string came out as text.
func (d *dockerized) has(s started, path, text string) {
	d.Helper()
	if s.Error != "" {
		d.Fatalf("%s does not load: %s", s.Formation, s.Error)
	}
	got, ok := s.Strings[path]
	if !ok || got.Left || got.SHA256 != sum(text) {
		d.Errorf("%s of %s does not come out as it was stored (there: %v)", path, s.Formation, ok)
	}
}

const guideFormation = `schema: "1.0.0"
id: agent
llm:
  api_keys:
    openai: "${{ secrets.OPENAI_API_KEY }}"
tools:
  - header: "Bearer ${{ secrets.SEARCH_TOKEN }}"
`

func keyOf(d *dockerized, name string) string {
	return filepath.Join(d.top, "formations", name, ".key")
}

// TestDockerGuide runs MUXI's Docker guide with containers, and has doctor say
// beforehand what each of them will say.
func TestDockerGuide(t *testing.T) {
	needDocker(t)
	sideBySide(t)
	d := newDockerized(t, "")
	values := map[string]map[string]string{
		"dev":  {"OPENAI_API_KEY": "sk-of-dev-0123456789", "SEARCH_TOKEN": "d\u00e9v \"quoted\" $HOME 'x'"},
		"prod": {"OPENAI_API_KEY": "sk-of-prod-9876543210", "SEARCH_TOKEN": "line\nline"},
	}
	for name, stored := range values {
		d.formation(name, guideFormation, stored)
	}
	d.do("", "hooks", "install")

	t.Run("two environments with two keys", func(t *testing.T) {
		found := d.up()
		for name := range values {
			one := found[name]
			d.has(one, "llm.api_keys.openai", values[name]["OPENAI_API_KEY"])
			d.has(one, "tools.0.header", "Bearer "+values[name]["SEARCH_TOKEN"])
			d.predicts(name, "key", "ok")
			d.predicts(name, "docker-mount", "ok")
		}
		if r := d.call(run{}, "doctor"); r.code != 0 {
			t.Errorf("doctor exits %d\n%s", r.code, r.out)
		}
	})
	t.Run("add is seen by the next start", func(t *testing.T) {
		d.do("sk-another-555555", "-C", "formations/dev", "add", "OPENAI_API_KEY", "--stdin")
		d.has(d.up()["dev"], "llm.api_keys.openai", "sk-another-555555")
	})
	t.Run("a missing key", func(t *testing.T) {
		must(t, os.Rename(keyOf(d, "prod"), keyOf(d, "prod")+".away"))
		defer os.Rename(keyOf(d, "prod")+".away", keyOf(d, "prod"))
		d.predicts("prod", "key", "fail")
		found := d.up()
		if want := "Read-only file system: '/formations/prod/.key'"; !strings.Contains(found["prod"].Error, want) {
			t.Errorf("the runtime says %q", found["prod"].Error)
		}
		d.has(found["dev"], "tools.0.header", "Bearer "+values["dev"]["SEARCH_TOKEN"])
	})
	t.Run("a wrong key", func(t *testing.T) {
		right, err := os.ReadFile(keyOf(d, "prod"))
		must(t, err)
		wrong, err := os.ReadFile(keyOf(d, "dev"))
		must(t, err)
		must(t, os.WriteFile(keyOf(d, "prod"), wrong, 0o600))
		defer os.WriteFile(keyOf(d, "prod"), right, 0o600)
		d.predicts("prod", "key", "fail")
		if got := d.up()["prod"].Error; got != "RuntimeError: Failed to retrieve secret 'OPENAI_API_KEY': " {
			t.Errorf("the runtime says %q", got)
		}
	})
	t.Run("a user that is not root", func(t *testing.T) {
		override := filepath.Join(d.top, "docker-compose.override.yml")
		must(t, os.WriteFile(override, []byte("services:\n  muxi:\n    user: \"1234:1234\"\n"), 0o644))
		defer os.Remove(override)
		d.predicts("dev", "docker-user", "fail")
		if got := d.up()["dev"].Error; !strings.Contains(got, "Permission denied: '/formations/dev/.key'") {
			t.Errorf("the runtime says %q", got)
		}
		// The remedy, typed.
		for _, file := range []string{".key", "secrets.enc"} {
			must(t, os.Chown(filepath.Join(d.top, "formations", "dev", file), 1234, -1))
		}
		d.predicts("dev", "docker-mount", "ok")
		d.has(d.up()["dev"], "llm.api_keys.openai", "sk-another-555555")
	})
}

// TestDockerPredicted stores what today's runtime stumbles over, and compares
// what it says with what doctor said.
func TestDockerPredicted(t *testing.T) {
	needDocker(t)
	sideBySide(t)
	d := newDockerized(t, "")
	config := func(text string) string { return "id: x\nllm:\n  api_keys:\n    openai: \"" + text + "\"\n" }
	const live = "${{ secrets.A_KEY }}"
	tests := []struct {
		name, config, value string
		then                func(dir string)
		check, state        string
		says                string // in the error; "" where it loads
		left                bool   // text that nobody replaced
	}{
		{name: "backslash", config: config(live), value: `a\d`, check: "backslash", state: "fail", says: "error: bad replacement"},
		{name: "lower", config: config("${{ secrets.a_key }}"), value: "x", check: "reference-spelling", state: "fail", left: true},
		{name: "optional", config: config("${{ secrets.A_KEY || '' }}"), value: "x", check: "reference-optional", state: "warn", left: true},
		{name: "malformed", config: config("${{ secret.A_KEY }}"), value: "x", check: "reference-malformed", state: "fail", left: true},
		{name: "unset", config: config("${{ secrets.B_KEY }}"), value: "x", check: "missing", state: "fail", says: "Secret 'B_KEY' not found in SecretsManager"},
		{name: "hexadecimal", config: config(live), value: "x", check: "key-format", state: "fail", says: "ValueError: Fernet key must be 32 url-safe base64-encoded bytes", then: func(dir string) {
			key, err := os.ReadFile(filepath.Join(dir, ".key"))
			must(t, err)
			raw, err := hexOfKey(key)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, ".key"), []byte(raw), 0o600))
		}},
		{name: "age", config: config(live), value: "x", check: "format", state: "fail", says: "ValueError: Fernet key must be 32 url-safe base64-encoded bytes", then: func(dir string) {
			d.do("", "-C", dir, "convert", "--to", "age")
		}},
		{name: "truncated", config: config(live), value: "x", check: "vault", state: "fail", says: "Failed to retrieve secret 'A_KEY': ", then: func(dir string) {
			path := filepath.Join(dir, "secrets.enc")
			sealed, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, sealed[:50], 0o600))
		}},
		{name: "well", config: config(live), value: "x", check: "missing", state: "ok"},
	}
	for _, tt := range tests {
		d.formation(tt.name, tt.config, map[string]string{"A_KEY": tt.value})
		if tt.then != nil {
			tt.then(filepath.Join(d.top, "formations", tt.name))
		}
	}
	found := d.up()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.predicts(tt.name, tt.check, tt.state)
			one := found[tt.name]
			if tt.says == "" && one.Error != "" || !strings.Contains(one.Error, tt.says) {
				t.Errorf("the runtime says %q, want %q", one.Error, tt.says)
			}
			if left := one.Strings["llm.api_keys.openai"].Left; left != tt.left {
				t.Errorf("left as text: %v", left)
			}
		})
	}
}

// TestDockerUserNamespaces runs an engine of its own, with --userns-remap.
func TestDockerUserNamespaces(t *testing.T) {
	needDocker(t)
	sideBySide(t)
	needs.Program(t, "dockerd")
	d := newDockerized(t, remappedEngine(t))
	// The engine has no network.
	must(t, os.WriteFile(filepath.Join(d.top, "docker-compose.override.yml"), []byte("services:\n  muxi:\n    network_mode: none\n"), 0o644))
	d.formation("dev", guideFormation, map[string]string{"OPENAI_API_KEY": "sk-of-dev-0123456789", "SEARCH_TOKEN": "token"})
	d.predicts("dev", "docker-userns", "fail")
	if got := d.up()["dev"].Error; !strings.Contains(got, "Permission denied: '/formations/dev/.key'") {
		t.Errorf("the runtime says %q", got)
	}
	must(t, os.WriteFile(filepath.Join(d.top, "docker-compose.override.yml"), []byte("services:\n  muxi:\n    network_mode: none\n    userns_mode: host\n"), 0o644))
	d.predicts("dev", "docker-mount", "ok")
	d.has(d.up()["dev"], "tools.0.header", "Bearer token")
}

// remappedEngine starts dockerd beside the machine's own, and ends it again.
func remappedEngine(t *testing.T) (host string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "muxi-dockerd-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o711)) // its containers' root goes through it as somebody else
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(in("daemon.json"), []byte("{}"), 0o600))
	var log bytes.Buffer
	cmd := exec.Command("dockerd", "--config-file", in("daemon.json"), "--userns-remap", "default", "-H", "unix://"+in("sock"),
		"--data-root", in("data"), "--exec-root", in("exec"), "--pidfile", in("pid"), "--bridge", "none",
		"--iptables=false", "--ip6tables=false", "--storage-driver", "vfs")
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-gone:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
		}
		// What is still mounted would keep the folder.
		mounts, _ := os.ReadFile("/proc/mounts")
		var paths []string
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
				paths = append(paths, fields[1])
			}
		}
		for _, path := range slices.Backward(paths) {
			exec.Command("umount", path).Run()
		}
	})
	host = "unix://" + in("sock")
	for range 120 {
		cmd := exec.Command("docker", "info")
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+host)
		if cmd.Run() == nil {
			return host
		}
		select {
		case err := <-gone:
			gone <- err
			t.Fatalf("dockerd with user namespaces ends: %v\n%s", err, log.String())
		case <-time.After(250 * time.Millisecond):
		}
	}
	t.Fatal("dockerd with user namespaces does not answer")
	return ""
}

// hexOfKey is a key as an older `muxi new` wrote it.
func hexOfKey(key []byte) (string, error) {
	raw, err := base64.URLEncoding.DecodeString(string(key))
	return hex.EncodeToString(raw), err
}
