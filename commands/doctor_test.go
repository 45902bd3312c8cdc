//go:build unix

package commands_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// doctorCheck is one entry of doctor --json.
type doctorCheck struct {
	Formation, Check, State, Message, Remedy string
}

func (b *sandbox) doctor(args ...string) (checks []doctorCheck, code int) {
	b.Helper()
	r := b.call(run{}, append([]string{"doctor", "--json"}, args...)...)
	var report struct{ Checks []doctorCheck }
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		b.Fatalf("doctor --json: exit %d, %v\n%s", r.code, err, r.err)
	}
	for _, c := range report.Checks {
		if c.State != "ok" && c.State != "warn" && c.State != "fail" || c.Check == "" || c.Message == "" {
			b.Errorf("an odd check: %+v", c)
		}
		if (c.State == "ok") != (c.Remedy == "") {
			b.Errorf("%s is %s and its remedy is %q", c.Check, c.State, c.Remedy)
		}
	}
	return report.Checks, r.code
}

func find(checks []doctorCheck, check string) (doctorCheck, bool) {
	for _, c := range checks {
		if c.Check == check && c.State != "ok" {
			return c, true
		}
	}
	return doctorCheck{}, false
}

// doctorSecret is the value that must never be printed.
const doctorSecret = "correct-horse-battery"

// ailment is what doctor finds: how a healthy formation gets it, and how its
// remedy is typed.
type ailment struct {
	check, state string
	give         func(b *sandbox)
	// answer goes behind the remedy, or to its prompt: what a person would type.
	answer string
	// stays says that the remedy opens an editor, or begins what is more than one
	// command.
	stays bool
}

func ailments() []ailment {
	put := func(path, text string) func(*sandbox) {
		return func(b *sandbox) {
			full := filepath.Join(b.top, path)
			must(b, os.MkdirAll(filepath.Dir(full), 0o755))
			must(b, os.WriteFile(full, []byte(text), 0o644))
		}
	}
	remove := func(path string) func(*sandbox) {
		return func(b *sandbox) { must(b, os.Remove(filepath.Join(b.top, path))) }
	}
	addLine := func(line string) func(*sandbox) {
		return func(b *sandbox) {
			b.write("formation.afs", b.read("formation.afs")+"\n"+line+"\n")
			b.do("", "sync")
		}
	}
	return []ailment{
		{check: "key", state: "fail", give: remove("agent/.key")},
		{check: "key", state: "fail", give: func(b *sandbox) { b.write(".key", strings.Repeat("A", 43)+"=") }},
		{check: "key", state: "fail", give: (*sandbox).loseKey, answer: " ../key"},
		{check: "key", state: "fail", give: func(b *sandbox) { b.write(".key", strings.Repeat("A", 43)+"="); b.forgetKeys() }, answer: " ../key"},
		{check: "key", state: "fail", give: func(b *sandbox) { b.write(".key", "none") }},
		{check: "key", state: "fail", give: func(b *sandbox) { b.write(".key", "none"); b.forgetKeys() }, answer: " ../key"},
		{check: "key", state: "fail", give: func(b *sandbox) { must(b, os.Truncate(filepath.Join(b.dir, ".key"), 0)) }},
		{check: "key", state: "fail", give: func(b *sandbox) {
			must(b, os.Remove(filepath.Join(b.dir, ".key")))
			must(b, os.Mkdir(filepath.Join(b.dir, ".key"), 0o755))
		}},
		{check: "key", state: "fail", give: func(b *sandbox) {
			must(b, os.Remove(filepath.Join(b.dir, ".key")))
			must(b, os.Symlink("nowhere", filepath.Join(b.dir, ".key")))
		}},
		{check: "key-format", state: "fail", give: func(b *sandbox) {
			b.git("rm", "-q", "agent/secrets.enc")
			b.write(".key", strings.Repeat("0123456789abcdef", 4))
			b.do(doctorSecret, "add", "OPENAI_API_KEY", "--stdin")
		}},
		{check: "format", state: "fail", give: func(b *sandbox) { b.do("", "convert", "--to", "age") }},
		{check: "key-permissions", state: "warn", give: func(b *sandbox) { must(b, os.Chmod(filepath.Join(b.dir, ".key"), 0o644)) }},
		{check: "key-tracked", state: "fail", give: func(b *sandbox) { b.git("add", "-f", "agent/.key") }},
		{check: "key-history", state: "fail", give: func(b *sandbox) {
			b.git("add", "-f", "agent/.key")
			b.git("commit", "-qnm", "key")
			b.git("rm", "-q", "--cached", "agent/.key")
		}},
		{check: "key-not-ignored", state: "fail", give: remove("agent/.gitignore")},
		{check: "attributes", state: "warn", give: put("agent/.gitattributes", "")},
		{check: "vault", state: "fail", give: func(b *sandbox) { b.write("secrets.enc", b.read("secrets.enc")[:40]) }},
		{check: "vault", state: "fail", give: func(b *sandbox) { b.write("secrets.enc", "{}") }},
		{check: "missing", state: "fail", give: addLine("x: ${{ secrets.NEW_ONE }}"), answer: " --generate"},
		{check: "backslash", state: "fail", give: func(b *sandbox) { b.do(`back\slash`, "add", "OPENAI_API_KEY", "--stdin") }, answer: " --generate"},
		{check: "reference-spelling", state: "fail", give: addLine("x: ${{ secrets.openai_api_key }}"), stays: true},
		{check: "reference-malformed", state: "fail", give: addLine("x: ${{ secret.OPENAI_API_KEY }}"), stays: true},
		{check: "reference-optional", state: "warn", give: addLine("x: ${{ secrets.OPENAI_API_KEY || '' }}"), stays: true},
		{check: "yaml", state: "fail", give: put("agent/agents/broken.afs", "a: [${{ secrets.OPENAI_API_KEY }}\n"), stays: true},
		{check: "template", state: "fail", give: remove("agent/secrets")},
		{check: "plaintext-key", state: "fail", give: addLine("rce:\n  token: another-token-4711"), answer: " --yes"},
		{check: "git-files", state: "fail", give: func(b *sandbox) { b.git("rm", "-q", "--cached", "agent/.gitignore") }},
		{check: "filter", state: "fail", give: put(".gitattributes", "*.enc filter=lfs\n")},
		{check: "user-credentials", state: "warn", give: addLine("user_credentials:\n  mode: dynamic"), stays: true},
		{check: "deploy", state: "warn", give: func(b *sandbox) {
			put("agent/tmp/dump.txt", doctorSecret)(b)
			put("agent/.gitignore", b.read(".gitignore")+"/tmp/\n")(b)
		}},
		{check: "check", state: "fail", give: put(".muxi-secrets.yaml", "unknown: 1\n"), stays: true},
		{check: "hooks", state: "warn", give: func(b *sandbox) { b.do("", "hooks", "uninstall") }},
		{check: "drivers", state: "warn", give: func(b *sandbox) { b.git("config", "--remove-section", "diff.muxi-secrets") }},
		{check: "shared-key", state: "fail", give: func(b *sandbox) {
			must(b, os.CopyFS(filepath.Join(b.top, "other"), os.DirFS(b.dir)))
			must(b, os.Chmod(filepath.Join(b.top, "other", ".key"), 0o600))
		}},
		{check: "people", state: "warn", give: func(b *sandbox) {
			b.do("", "share", "add", "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z", "--name", "Somebody")
			must(b, os.Remove(filepath.Join(b.dir, ".key.age")))
		}},
		{check: "compose", state: "fail", give: put("compose.yaml", "a: [\n"), stays: true},
		{check: "compose-environment", state: "fail", give: put("compose.yaml", "services: {muxi: {image: x, volumes: ['./agent:/formations/agent'], environment: {NEW_TOKEN: "+doctorSecret+"-y}}}\n"), answer: " --generate", stays: true},
		{check: "compose-env-file", state: "fail", give: func(b *sandbox) {
			put("compose.yaml", "services: {muxi: {image: x, volumes: ['./agent:/formations/agent'], env_file: values.env}}\n")(b)
			put("values.env", "NEW_TOKEN="+doctorSecret+"-z\n")(b)
		}, stays: true},
		{check: "compose-env-file", state: "fail", give: put("compose.yaml", "services: {muxi: {image: x, volumes: ['./agent:/formations/agent'], env_file: absent.env}}\n")},
		{check: "docker-mount", state: "fail", give: put("compose.yaml", "services: {muxi: {image: muxi/runtime}}\n"), stays: true},
		{check: "docker-context", state: "fail", give: put("Dockerfile", "FROM x\nCOPY . /\n")},
		{check: "docker-context", state: "warn", give: put("Dockerfile", "FROM x\n")},
	}
}

// TestDoctorRemedies: each finding is found, says no value, and names a command
// that can be typed as it stands, in any folder, and mends it.
func TestDoctorRemedies(t *testing.T) {
	isolateProcess(t)
	bin := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bin, "git-muxi-secrets")))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	healthy := newSandbox(t, simpleExample, true)
	healthy.do(doctorSecret, "add", "OPENAI_API_KEY", "--stdin")
	must(t, os.WriteFile(filepath.Join(healthy.top, ".git", "key"), []byte(healthy.read(".key")), 0o600))
	healthy.git("add", "-A")
	healthy.git("commit", "-qnm", "first")
	if checks, code := healthy.doctor(); code != 0 {
		t.Fatalf("the healthy one fails: %+v", checks)
	}
	modes := healthy.tree()
	for _, a := range sample(ailments()) {
		t.Run(a.check, func(t *testing.T) {
			b := healthy.copied(t)
			b.restore(modes)
			b.git("update-index", "-q", "--refresh")
			a.give(b)
			before := b.tree()
			for _, dir := range []string{b.dir, b.top} { // the remedy is that of the second
				b.dir = dir
				checks, code := b.doctor()
				c, ok := find(checks, a.check)
				if !ok || c.State != a.state || (code == 1) != (a.state == "fail") {
					t.Fatalf("doctor exits %d and says %+v", code, checks)
				}
				text := b.call(run{}, "doctor")
				if strings.Contains(text.out+text.err, doctorSecret) {
					t.Error("a value is printed")
				}
				if !strings.Contains(text.out, "  "+a.state+"  "+c.Message+"\n        "+c.Remedy+"\n") {
					t.Errorf("the screen is without %q", c.Message)
				}
			}
			if changed := differing(before, b.tree()); len(changed) > 0 {
				t.Errorf("looking changed %v", changed)
			}
			checks, _ := b.doctor()
			c, _ := find(checks, a.check)
			answer := strings.ReplaceAll(a.answer, "../key", ".git/key")
			cmd := exec.Command("/bin/sh", "-c", c.Remedy+answer)
			cmd.Dir = b.top
			cmd.Env = append(os.Environ(), "PWD="+b.top, "EDITOR=true")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			// `git muxi-secrets check` shows the places, and exits 1 for them.
			if check := strings.HasSuffix(c.Remedy, " check"); err != nil && (!check || cmd.ProcessState.ExitCode() != 1) {
				t.Fatalf("%s%s: %v\n%s", c.Remedy, answer, err, out.String())
			}
			if checks, _ = b.doctor(); !a.stays {
				for _, now := range checks {
					if now.Check == a.check && now.State == a.state && now.Message == c.Message {
						t.Errorf("%q, after its remedy: %s", now.Message, c.Remedy)
					}
				}
			}
		})
	}
}

// TestDoctorGitVersions runs doctor with gits that say they are old.
func TestDoctorGitVersions(t *testing.T) {
	isolateProcess(t)
	real, err := exec.LookPath("git")
	must(t, err)
	for version, state := range map[string]string{
		"git version 2.20.1": "fail", "git version 1.8.3.1": "fail", "git version 2.21.0": "warn", "git version 2.37.9 (Apple Git-1)": "warn",
		"git version 2.38.0": "ok", "git version 2.39.5": "ok", "git version 3.0.0": "ok", "git version 2.45.1.windows.1": "ok", "nonsense": "warn",
	} {
		t.Run(version, func(t *testing.T) {
			bin := t.TempDir()
			script := "#!/bin/sh\ncase \"$1\" in --version) echo '" + version + "';; *) exec " + real + " \"$@\";; esac\n"
			must(t, os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755))
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			b := newSandbox(t, simpleExample, true)
			checks, _ := b.doctor()
			for _, c := range checks {
				if c.Check == "git" {
					if c.State != state {
						t.Errorf("%s: %s", c.State, c.Message)
					}
					return
				}
			}
			t.Error("nothing is said of git")
		})
	}
}

// TestDoctorWithoutGit: a repository can be judged without the program.
func TestDoctorWithoutGit(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	b.do(doctorSecret, "add", "OPENAI_API_KEY", "--stdin")
	b.git("add", "-A", "-f")
	b.git("commit", "-qnm", "with the key")
	bin := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bin, "git-muxi-secrets")))
	t.Setenv("PATH", bin)
	checks, code := b.doctor()
	for check, state := range map[string]string{"git": "warn", "key-tracked": "fail", "key-history": "fail"} {
		if c, _ := find(checks, check); c.State != state {
			t.Errorf("%s: %+v", check, c)
		}
	}
	if code != 1 {
		t.Errorf("exit %d", code)
	}
}

// TestDoctorAsksDockerOnlyWhereItMatters: without a compose file that mounts a
// key, nobody waits for docker.
func TestDoctorAsksDockerOnlyWhereItMatters(t *testing.T) {
	isolateProcess(t)
	if runtime.GOOS != "linux" {
		t.Skip("linux: elsewhere containers see no owners")
	}
	bin, asked := t.TempDir(), filepath.Join(t.TempDir(), "asked")
	must(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho >> "+asked+"\necho '[\"name=userns\"] /var/lib/docker/100000.100000'\n"), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	b := newSandbox(t, simpleExample, true)
	b.do(doctorSecret, "add", "OPENAI_API_KEY", "--stdin")
	b.doctor()
	if _, err := os.Stat(asked); err == nil {
		t.Error("docker is asked, and there is no compose file")
	}
	must(t, os.WriteFile(filepath.Join(b.top, "compose.yaml"), []byte("services: {muxi: {image: x, user: '4321', volumes: ['./agent:/formations/agent']}}\n"), 0o644))
	checks, _ := b.doctor()
	if c, ok := find(checks, "docker-userns"); !ok || !strings.Contains(c.Message, "uid 104321 here") {
		t.Errorf("nothing is said of the engine's user namespaces: %+v", checks)
	}
}
