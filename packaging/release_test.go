//go:build unix

// Package packaging_test builds what a release consists of and uses it as those
// who get it will.
package packaging_test

import (
	"archive/tar"
	"bytes"
	"debug/macho"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
	"gopkg.in/yaml.v3"
)

const (
	version = "v9.8.7"
	date    = "2026-01-02T03:04:05Z"
	leak    = "ghp_" + "n8Zr2Kq5Vx1Lw7Tb4Mc9Jd3Hf6Gs0PaYeU2i"
)

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		needs.Program(t, program)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// goSettings are Go's own: its caches lie where they do though HOME is another.
var goSettings = sync.OnceValues(func() ([]string, error) {
	names := []string{"GOCACHE", "GOPATH", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}

	var settings []string
	for i, value := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		settings = append(settings, names[i]+"="+value)
	}
	return settings, nil
})

// command is one to run, in an environment of its own.
type command struct {
	dir string
	env []string
}

func (c command) run(t *testing.T, name string, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	settings, err := goSettings()
	must(t, err)
	cmd.Env = slices.Concat(gittest.Environ(t, t.TempDir()), settings, c.env)
	all, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), string(all)
	}
	must(t, err)
	return 0, string(all)
}

func (c command) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	code, out := c.run(t, name, args...)
	if code != 0 {
		t.Fatalf("%s %v: exit %d\n%s", name, args, code, out)
	}
	return out
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

// goreleaser is as much of .goreleaser.yaml as is looked at here.
type goreleaser struct {
	Builds []struct {
		Env, Flags, Tags, Ldflags []string
		Goos, Goarch              []string
		ModTimestamp              string `yaml:"mod_timestamp"`
	}
	Archives []struct{ Files []struct{ Src, Dst string } }
	Sboms    []struct {
		Cmd  string
		Args []string
	}
	Nfpms []map[string]any
	Casks []struct {
		Manpages    []string
		Completions map[string]string
	} `yaml:"homebrew_casks"`
}

func settings(t *testing.T) goreleaser {
	t.Helper()
	var g goreleaser
	must(t, yaml.Unmarshal(read(t, "../.goreleaser.yaml"), &g))
	if len(g.Builds) != 1 || len(g.Archives) != 1 || len(g.Nfpms) != 1 || len(g.Casks) != 1 || len(g.Sboms) != 1 {
		t.Fatalf("%+v", g)
	}
	return g
}

// GoReleaser takes its file, and refuses one with a field that it does not know.
func TestGoReleaserReadsItsFile(t *testing.T) {
	need(t, "goreleaser-config")
	here := command{dir: ".."}
	here.must(t, "goreleaser-config", ".goreleaser.yaml")
	misspelt := filepath.Join(t.TempDir(), "misspelt.yaml")
	write(t, misspelt, strings.Replace(string(read(t, "../.goreleaser.yaml")), "mod_timestamp:", "mod_timestmap:", 1))
	if code, out := here.run(t, "goreleaser-config", misspelt); code != 1 || !strings.Contains(out, "mod_timestmap") {
		t.Errorf("a misspelt field: exit %d\n%s", code, out)
	}
	// It takes four minutes to build, so it need not be here.
	if _, err := exec.LookPath("goreleaser"); err == nil {
		here.must(t, "goreleaser", "check")
	}
}

// A release and 'make build' are built alike, and everything named is there.
func TestGoReleaserFileFits(t *testing.T) {
	g := settings(t)
	build := g.Builds[0]
	makefile := string(read(t, "../Makefile"))
	want := "BUILD = " + strings.Join(build.Env, " ") + " go build " + strings.Join(build.Flags, " ") + " -tags=" + strings.Join(build.Tags, ",") +
		" -ldflags='" + strings.ReplaceAll(strings.Join(build.Ldflags, " "), "{{ .Summary }}", "$(VERSION)") + "'\n"
	if !strings.Contains(makefile, want) {
		t.Errorf("the Makefile has not\n%s", want)
	}
	if len(build.Goos) != 3 || len(build.Goarch) != 2 || build.ModTimestamp != "{{ .CommitTimestamp }}" {
		t.Errorf("%+v", build)
	}
	var pages, inCask, inArchive []string
	for _, section := range []string{"1", "7"} {
		found, err := filepath.Glob("../docs/man/*." + section)
		must(t, err)
		for _, page := range found {
			pages = append(pages, "share/man/man"+section+"/"+filepath.Base(page))
		}
	}
	inCask = slices.Sorted(slices.Values(g.Casks[0].Manpages))
	if slices.Sort(pages); !slices.Equal(inCask, pages) {
		t.Errorf("the cask has the pages\n%s\nthere are\n%s", strings.Join(inCask, "\n"), strings.Join(pages, "\n"))
	}
	for _, file := range g.Archives[0].Files {
		found, err := filepath.Glob("../" + file.Src)
		if err != nil || len(found) == 0 {
			t.Errorf("no %s", file.Src)
		}
		inArchive = append(inArchive, file.Dst)
	}
	for shell, file := range g.Casks[0].Completions {
		if !slices.Contains(inArchive, file) {
			t.Errorf("%s: no %s in the archives", shell, file)
		}
	}
}

// TestRelease builds the program once, and from it what is made of it.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a release, and -short is given")
	}
	need(t, "git", "make", "go")
	root := t.TempDir()
	first, second := filepath.Join(root, "first"), filepath.Join(root, "another folder, deeper", "second")
	copyTree(t, first)
	must(t, os.CopyFS(second, os.DirFS(first)))
	for _, dir := range []string{first, second} {
		c := command{dir: dir}
		c.must(t, "git", "init", "-q")
		c.must(t, "git", "add", "-A")
		c.must(t, "git", "commit", "-qm", "x")
		c.must(t, "git", "tag", version)
	}
	command{dir: first}.must(t, "make", "build")
	program := filepath.Join(first, "git-muxi-secrets")
	if out := (command{}).must(t, program, "--version"); !strings.Contains(out, version) || strings.Contains(out, "dirty") {
		t.Errorf("--version says %q", out)
	}

	t.Run("reproducible", func(t *testing.T) {
		env := []string{"TZ=Asia/Tokyo", "LC_ALL=C"}
		if os.Getenv("TEST_COLD_BUILD") == "1" {
			// Nothing compiled before is of use to this one. Elsewhere Go's cache
			// is, which knows the folder from where the build's flags let it in.
			// .ci/run asks for it: it takes a minute.
			cache := filepath.Join(root, "cache")
			env = append(env, "GOCACHE="+cache)
			defer os.RemoveAll(cache)
		}
		command{dir: second, env: env}.must(t, "make", "build")
		a, b := read(t, program), read(t, filepath.Join(second, "git-muxi-secrets"))
		if !bytes.Equal(a, b) {
			at := 0
			for at < min(len(a), len(b)) && a[at] == b[at] {
				at++
			}
			t.Errorf("two builds differ: %d and %d bytes, from byte %d", len(a), len(b), at)
		}
		if bytes.Contains(a, []byte(root)) {
			t.Error("the program names the folder it was built in")
		}
	})
	t.Run("macOS starts it", func(t *testing.T) {
		command{dir: second, env: []string{"GOOS=darwin", "GOARCH=arm64"}}.must(t, "make", "build")
		file, err := macho.Open(filepath.Join(second, "git-muxi-secrets"))
		must(t, err)
		defer file.Close()
		const uuid = 0x1b // LC_UUID
		if !slices.ContainsFunc(file.Loads, func(l macho.Load) bool { return file.ByteOrder.Uint32(l.Raw()) == uuid }) {
			t.Error("no LC_UUID, which macOS 26 asks for")
		}
	})
	t.Run("Debian", func(t *testing.T) { debian(t, program) })
	t.Run("SBOM", func(t *testing.T) { billOfMaterials(t, program) })
	t.Run("image", func(t *testing.T) { image(t, first, program) })
}

// copyTree copies this work tree: the files that git knows or would add, or all
// of them where it is no repository.
func copyTree(t *testing.T, to string) {
	t.Helper()
	for _, name := range sources(t) {
		info, err := os.Lstat(filepath.Join("..", name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // deleted, or a link that nothing is built from
		}
		must(t, err)
		target := filepath.Join(to, name)
		must(t, os.MkdirAll(filepath.Dir(target), 0o755))
		must(t, os.WriteFile(target, read(t, filepath.Join("..", name)), info.Mode().Perm()))
	}
}

// sources lists the files of this work tree, by their paths in it.
func sources(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", ".git")); err == nil {
		listed := command{dir: ".."}.must(t, "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
		return strings.Split(strings.TrimRight(listed, "\x00"), "\x00")
	}

	var list []string
	must(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			list = append(list, strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		}
		return err
	}))
	return list
}

// debian makes the package of .goreleaser.yaml with the packager that GoReleaser
// uses, installs it into a root of its own, and takes it away again.
func debian(t *testing.T, program string) {
	need(t, "nfpm", "dpkg", "man", "bash")
	const helper = "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(helper); err != nil {
		needs.Missing(t, "bash-completion is not installed")
	}
	dir := t.TempDir()
	deb := makePackage(t, program, filepath.Join(dir, "a.deb"))
	if !bytes.Equal(read(t, deb), read(t, makePackage(t, program, filepath.Join(dir, "b.deb")))) {
		t.Error("two packages of one program differ")
	}

	root := filepath.Join(dir, "root")
	for _, made := range []string{"info", "updates", "triggers"} {
		must(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg", made), 0o755))
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	dpkg := []string{"--root=" + root, "--force-not-root", "--log=" + filepath.Join(dir, "log")}
	var c command
	// Programs of the system's own folders are asked for where dpkg looks.
	c.env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"}
	c.must(t, "dpkg", append(dpkg, "-i", deb)...)
	if out := c.must(t, "dpkg", append(dpkg, "-s", "git-muxi-secrets")...); !strings.Contains(out, "Status: install ok installed") ||
		!strings.Contains(out, "Version: "+strings.TrimPrefix(version, "v")+"\n") || !strings.Contains(out, "Recommends: git\n") || strings.Contains(out, "\nDepends:") {
		t.Errorf("dpkg -s:\n%s", out)
	}

	use := command{env: []string{"PATH=" + filepath.Join(root, "usr/bin") + ":" + os.Getenv("PATH"), "MANPATH=" + filepath.Join(root, "usr/share/man"),
		"XDG_DATA_DIRS=" + filepath.Join(root, "usr/share"), "BASH_COMPLETION_USER_DIR=" + dir, "MANPAGER=cat", "MANROFFOPT=-c", "HOME=" + dir, "LC_ALL=C.UTF-8"}}
	if out := use.must(t, "git", "muxi-secrets", "--version"); !strings.Contains(out, version) {
		t.Errorf("git muxi-secrets --version says %q", out)
	}
	for _, page := range [][]string{{"man", "git-muxi-secrets"}, {"git", "help", "muxi-secrets"}, {"man", "git-muxi-secrets-add"}, {"man", "7", "gitmuxi-secrets-guide"}} {
		if out := use.must(t, page[0], page[1:]...); !strings.Contains(out, "muxi-secrets") || !strings.Contains(out, "NAME") {
			t.Errorf("%v shows\n%s", page, out)
		}
	}
	// Git's completion looks for that function, in a file that this loads by name.
	script := "source " + helper + "; declare -F __load_completion >/dev/null && __load_completion git-muxi-secrets || _completion_loader git-muxi-secrets; declare -F _git_muxi_secrets"
	if out := use.must(t, "bash", "--norc", "-c", script); !strings.Contains(out, "_git_muxi_secrets") {
		t.Errorf("bash: %q", out)
	}
	for _, name := range []string{"zsh/vendor-completions/_git-muxi-secrets", "fish/vendor_completions.d/git-muxi-secrets.fish", "doc/git-muxi-secrets/copyright"} {
		if info, err := os.Stat(filepath.Join(root, "usr/share", name)); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}

	c.must(t, "dpkg", append(dpkg, "-r", "git-muxi-secrets")...)
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !strings.HasPrefix(path, filepath.Join(root, "var")) && !entry.IsDir() {
			t.Errorf("left behind: %s", path)
		}
		return err
	}))
}

// makePackage does with 'nfpms' of .goreleaser.yaml what GoReleaser does: its
// fields are nfpm's own, but for a few.
func makePackage(t *testing.T, program, deb string) string {
	t.Helper()
	encoded, err := yaml.Marshal(settings(t).Nfpms[0])
	must(t, err)
	var config map[string]any
	must(t, yaml.Unmarshal(bytes.ReplaceAll(encoded, []byte("{{ .CommitDate }}"), []byte(date)), &config))
	if formats := fmt.Sprint(config["formats"]); formats != "[deb]" {
		t.Errorf("formats: %s", formats)
	}
	bin := config["bindir"].(string)
	maps.DeleteFunc(config, func(name string, _ any) bool {
		return name == "formats" || name == "file_name_template" || name == "bindir"
	})
	config["name"], config["version"], config["platform"], config["arch"] = "git-muxi-secrets", version, "linux", runtime.GOARCH
	config["contents"] = append(config["contents"].([]any), map[string]any{
		"src": program, "dst": bin + "/git-muxi-secrets", "file_info": map[string]any{"mode": 0o755, "mtime": date}})
	encoded, err = yaml.Marshal(config)
	must(t, err)
	if bytes.Contains(encoded, []byte("{{")) {
		t.Fatalf("a template is left:\n%s", encoded)
	}
	file := filepath.Join(t.TempDir(), "nfpm.yaml")
	write(t, file, string(encoded))
	command{dir: ".."}.must(t, "nfpm", "package", "-f", file, "-p", "deb", "-t", deb)
	return deb
}

// billOfMaterials runs the command that .goreleaser.yaml names.
func billOfMaterials(t *testing.T, program string) {
	sbom := settings(t).Sboms[0]
	need(t, sbom.Cmd)
	dir := t.TempDir()
	var made [][]byte
	for _, name := range []string{"a.json", "b.json"} {
		document := filepath.Join(dir, name)
		var args []string
		for _, arg := range sbom.Args {
			args = append(args, strings.NewReplacer("$artifact", program, "$document", document, "{{ .Summary }}", version).Replace(arg))
		}
		command{dir: ".."}.must(t, sbom.Cmd, args...)
		made = append(made, read(t, document))
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two lists of one program differ")
	}
	var list struct {
		BomFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, Purl string }
	}
	must(t, json.Unmarshal(made[0], &list))
	if list.BomFormat != "CycloneDX" || list.Metadata.Component.Name != "github.com/muxi-ai/git-muxi-secrets" || list.Metadata.Component.Version != version {
		t.Errorf("%+v", list.Metadata)
	}
	for _, module := range []string{"std", "filippo.io/age", "github.com/go-git/go-git/v5", "gopkg.in/yaml.v3", "github.com/urfave/cli/v2", "golang.org/x/crypto"} {
		if !slices.ContainsFunc(list.Components, func(c struct{ Name, Version, Purl string }) bool {
			return c.Name == module && c.Version != "" && strings.HasPrefix(c.Purl, "pkg:golang/"+module+"@")
		}) {
			t.Errorf("%s is not listed", module)
		}
	}
}

// image builds the image and has it, and the GitHub Action with it, check
// repositories. There is no git and no shell in it.
func image(t *testing.T, source, program string) {
	need(t, "docker")
	if code, out := (command{}).run(t, "docker", "version", "--format", "{{.Server.Os}}"); code != 0 || strings.TrimSpace(out) != "linux" {
		needs.Missing(t, "docker has no engine that answers")
	}
	name := fmt.Sprintf("git-muxi-secrets-test/release:%d", os.Getpid())
	// The classic builder pulls nothing, not even itself.
	command{dir: source, env: []string{"DOCKER_BUILDKIT=0"}}.must(t, "make", "image", "IMAGE="+name)
	t.Cleanup(func() { command{}.must(t, "docker", "rmi", "-f", name) })

	id := strings.TrimSpace(command{}.must(t, "docker", "create", name))
	exported, err := exec.Command("docker", "export", id).Output()
	command{}.must(t, "docker", "rm", id)
	must(t, err)
	for reader := tar.NewReader(bytes.NewReader(exported)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		// What the engine itself puts there is empty.
		if header.Typeflag != tar.TypeReg || header.Size == 0 {
			continue
		}
		content, err := io.ReadAll(reader)
		must(t, err)
		if header.Name != "git-muxi-secrets" || !bytes.Equal(content, read(t, program)) {
			t.Errorf("the image holds %s, %d bytes", header.Name, header.Size)
		}
	}

	dir := t.TempDir()
	origin := filepath.Join(dir, "origin")
	must(t, os.Mkdir(origin, 0o755))
	up := command{dir: origin}
	up.must(t, "git", "init", "-q", "-b", "main")
	write(t, filepath.Join(origin, "base.txt"), "base\n")
	up.must(t, "git", "add", "-A")
	up.must(t, "git", "commit", "-qm", "base")
	up.must(t, "git", "checkout", "-q", "-b", "feature")
	write(t, filepath.Join(origin, "notes.txt"), "token: "+leak+"\n")
	up.must(t, "git", "add", "-A")
	up.must(t, "git", "commit", "-qm", "leaky")
	up.must(t, "git", "rm", "-q", "notes.txt")
	up.must(t, "git", "commit", "-qm", "gone")
	up.must(t, "git", "checkout", "-q", "-b", "fine", "main")
	write(t, filepath.Join(origin, "fine.txt"), "fine\n")
	up.must(t, "git", "add", "-A")
	up.must(t, "git", "commit", "-qm", "fine")
	clone := func(t *testing.T, branch string, args ...string) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "checkout")
		command{}.must(t, "git", append(append([]string{"clone", "-q", "-b", branch}, args...), "file://"+origin, dir)...)
		return dir
	}

	for _, tt := range []struct {
		name   string
		branch string
		clone  []string
		owner  int
		docker []string
		check  []string
		code   int
		says   string
	}{
		{name: "a leak", branch: "feature", check: []string{"--base", "origin/main"}, code: 1, says: "notes.txt:1:8: error"},
		{name: "none", branch: "fine", check: []string{"--base", "origin/main"}, says: "checked 1 files, 1 commits"},
		{name: "shallow", branch: "feature", clone: []string{"--depth=1"}, check: []string{"--base", "origin/main"}, code: 3, says: "fetch-depth: 0"},
		{name: "history", branch: "feature", check: []string{"--history"}, code: 1, says: "notes.txt:1:8: error"},
		{name: "packed", branch: "feature", clone: []string{"--bare"}, check: []string{"--range", "main..feature"}, code: 1, says: "notes.txt:1:8: error"},
		// Whose repository it is is a question of git's, which would run hooks and
		// programs that its config names. Here nothing is run.
		{name: "another owner's", branch: "feature", owner: 4321, check: []string{"--base", "origin/main"}, code: 1, says: "notes.txt:1:8: error"},
		{name: "as nobody", branch: "feature", docker: []string{"--user", "65534:65534"}, check: []string{"--base", "origin/main"}, code: 1, says: "notes.txt:1:8: error"},
		{name: "locked up", branch: "feature", docker: []string{"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"}, check: []string{"--base", "origin/main"}, code: 1, says: "notes.txt:1:8: error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := clone(t, tt.branch, tt.clone...)
			if tt.owner != 0 {
				if os.Getuid() != 0 {
					needs.Missing(t, "only root gives files away")
				}
				must(t, filepath.WalkDir(repo, func(path string, _ fs.DirEntry, err error) error {
					return errors.Join(err, os.Lchown(path, tt.owner, tt.owner))
				}))
			}
			if len(tt.docker) > 1 && tt.docker[0] == "--user" {
				must(t, os.Chmod(filepath.Dir(repo), 0o755))
			}
			args := append([]string{"run", "--rm", "--network=none", "-v", repo + ":/repo:ro", "-w", "/repo"}, tt.docker...)
			code, out := command{}.run(t, "docker", append(append(args, name, "check"), tt.check...)...)
			if code != tt.code || !strings.Contains(out, tt.says) || strings.Contains(out, leak) {
				t.Errorf("exit %d, want %d and %q\n%s", code, tt.code, tt.says, out)
			}
		})
	}
	t.Run("a stored value", func(t *testing.T) { storedValue(t, name, program) })
	t.Run("action", func(t *testing.T) { action(t, name, program, clone) })
}

// storedValue has the image find a value that only the key makes known.
func storedValue(t *testing.T, image, program string) {
	dir := t.TempDir()
	c := command{dir: dir, env: []string{"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}}
	c.must(t, "git", "init", "-q", "-b", "main")
	write(t, filepath.Join(dir, "agent/formation.afs"), "schema: \"1.0.0\"\nid: agent\nllm:\n  api_keys:\n    openai: \"${{ secrets.TOKEN }}\"\n")
	write(t, filepath.Join(dir, "value"), "correct-horse-7-battery")
	c.must(t, program, "-C", "agent", "add", "TOKEN", "--from-file", "value")
	code, out := command{}.run(t, "docker", "run", "--rm", "--network=none", "-v", dir+":/repo:ro", image, "check")
	if code != 1 || !strings.Contains(out, "value:1:1: error: the value of TOKEN of agent") || strings.Contains(out, "correct-horse") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// action runs the two steps of action.yml as GitHub does.
func action(t *testing.T, image, program string, clone func(*testing.T, string, ...string) string) {
	need(t, "bash", "realpath")
	var file struct {
		Runs struct{ Steps []struct{ Run string } }
	}
	must(t, yaml.Unmarshal(read(t, "../action.yml"), &file))
	if len(file.Runs.Steps) != 2 {
		t.Fatalf("%d steps", len(file.Runs.Steps))
	}
	sources, err := filepath.Abs("..")
	must(t, err)
	// A release's tag is the last part of the folder that the runner makes.
	tagged := filepath.Join(t.TempDir(), "git-muxi-secrets", version)
	must(t, os.MkdirAll(filepath.Dir(tagged), 0o755))
	must(t, os.Symlink(sources, tagged))
	released := "ghcr.io/muxi-ai/git-muxi-secrets:" + version
	command{}.must(t, "docker", "tag", image, released)
	t.Cleanup(func() { command{}.must(t, "docker", "rmi", released) })
	// Stands in for an engine that does not run the image, and for none.
	broken := t.TempDir()
	must(t, os.WriteFile(filepath.Join(broken, "docker"), []byte("#!/bin/sh\nexit 125\n"), 0o755))

	for _, tt := range []struct {
		name, path string
		branch     string
		clone      []string
		env        []string
		setup      string // what the first step says
		setupCode  int
		code       int
		says       string
	}{
		{name: "image", path: sources, branch: "feature", env: []string{"INPUT_IMAGE=" + image}, setup: "using the image " + image, code: 1, says: "::error file=notes.txt,line=1,col=8,"},
		{name: "image, nothing found", path: sources, branch: "fine", env: []string{"INPUT_IMAGE=" + image}, setup: version},
		{name: "image, shallow", path: sources, branch: "feature", clone: []string{"--depth=1"}, env: []string{"INPUT_IMAGE=" + image}, setup: version, code: 3, says: "fetch-depth: 0"},
		{name: "image, SARIF", path: sources, branch: "feature", env: []string{"INPUT_IMAGE=" + image, "INPUT_SARIF=out.sarif"}, setup: version, code: 1, says: "::error file=notes.txt,"},
		{name: "image, SARIF, shallow", path: sources, branch: "feature", clone: []string{"--depth=1"}, env: []string{"INPUT_IMAGE=" + image, "INPUT_SARIF=out.sarif"}, setup: version, code: 3},
		{name: "image, baseline elsewhere", path: sources, branch: "feature", env: []string{"INPUT_IMAGE=" + image, "INPUT_BASELINE=../baseline.json"}, setup: version},
		{name: "a release's tag", path: tagged, branch: "feature", setup: "using the image " + released, code: 1, says: "::error file=notes.txt,"},
		{name: "a release's tag, its image does not run", path: tagged, branch: "feature", env: []string{"PATH=" + broken + ":" + os.Getenv("PATH")},
			setup: "::notice::the image '" + released + "' does not run here", code: 1, says: "::error file=notes.txt,"},
		{name: "a named image does not run", path: sources, branch: "feature", env: []string{"INPUT_IMAGE=" + image, "PATH=" + broken + ":" + os.Getenv("PATH")},
			setup: "::error::the image '" + image + "'", setupCode: 3},
		{name: "built", path: sources, branch: "feature", setup: "building git-muxi-secrets from", code: 1, says: "::error file=notes.txt,"},
		{name: "built though tagged", path: tagged, branch: "feature", env: []string{"INPUT_IMAGE=none"}, setup: "building git-muxi-secrets from", code: 1, says: "::error file=notes.txt,"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := clone(t, tt.branch, tt.clone...)
			command{dir: repo}.must(t, program, append([]string{"check", "--write-baseline", "../baseline.json"}, baselineOf(tt.clone)...)...)
			c := command{dir: repo, env: append([]string{"GITHUB_ACTIONS=true", "GITHUB_BASE_REF=main", "RUNNER_OS=Linux",
				"GITHUB_ACTION_PATH=" + tt.path, "RUNNER_TEMP=" + t.TempDir()}, tt.env...)}
			step := func(n int) (int, string) {
				return c.run(t, "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", file.Runs.Steps[n].Run)
			}
			if code, out := step(0); code != tt.setupCode || !strings.Contains(out, tt.setup) {
				t.Fatalf("set up: exit %d, want %d and %q\n%s", code, tt.setupCode, tt.setup, out)
			} else if code != 0 {
				return
			}
			if code, out := step(1); code != tt.code || !strings.Contains(out, tt.says) {
				t.Errorf("exit %d, want %d and %q\n%s", code, tt.code, tt.says, out)
			}
			if slices.Contains(tt.env, "INPUT_SARIF=out.sarif") && tt.code == 1 {
				var log struct{ Runs []struct{ Results []any } }
				must(t, json.Unmarshal(read(t, filepath.Join(repo, "out.sarif")), &log))
				if len(log.Runs) != 1 || len(log.Runs[0].Results) != 1 {
					t.Error("the SARIF file lacks the finding")
				}
			}
		})
	}
}

// baselineOf is the scope of a baseline: what a whole clone brings in.
func baselineOf(clone []string) []string {
	if len(clone) > 0 {
		return nil
	}
	return []string{"--base", "origin/main"}
}
