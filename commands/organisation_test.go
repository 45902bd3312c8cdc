//go:build unix

package commands_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// organisation are the repositories of five, two of which leak and one of which is
// not there, as a server has them, beside those that the workflows take this project
// from. It returns the folder of the server.
func organisation(t *testing.T) (server string) {
	t.Helper()
	from := sources(t)
	server = from.path("../server")
	from.git("clone", "-q", "--bare", from.dir, server+"/muxi-ai/git-muxi-secrets.git")
	for name, fill := range map[string]func(r *repo){
		"clean":   func(r *repo) { r.stage("a.txt", clean) },
		".github": func(r *repo) { r.stage("a.txt", clean) },
		"removed": func(r *repo) {
			r.stage("notes.txt", leak)
			r.save("leaky")
			r.git("rm", "-q", "notes.txt")
		},
		"kept": func(r *repo) {
			r.stage("a.txt", leak+leak)
			r.formation("agent", "TOKEN=hunter2-hunter2")
			r.git("add", "-f", "agent/.key")
		},
	} {
		r := newRepo(t)
		r.stage("first.txt", "first\n")
		r.save("first")
		fill(r)
		r.save("last")
		r.git("clone", "-q", "--bare", r.dir, server+"/example/"+name+".git")
	}
	return server
}

const repositories = "# all of them\nexample/clean\nexample/.github\n\nexample/removed # soon\nexample/kept\nexample/gone\n"

// saysOrganisation checks the summary of those.
func saysOrganisation(t *testing.T, said string) {
	t.Helper()
	for _, line := range []string{
		"## Secrets in the history of 5 repositories",
		"- **example/gone cannot be cloned**",
		"| repository | key-file | plaintext-key |",
		"| example/kept | 1 | 2 |",
		"| example/removed |  | 1 |",
		"| **all** | 1 | 3 |",
		"2 of them have no findings.",
	} {
		if !strings.Contains(said, line+"\n") {
			t.Errorf("the summary lacks %q\n%s", line, said)
		}
	}
}

// Stand-ins for GitHub's own actions, as its manual has them: of a folder all that is
// in it goes up, without modes, and hidden files only where that is said.
const (
	uploadArtifact = `
name: upload-artifact
inputs: {name: {}, path: {}, include-hidden-files: {default: 'false'}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        mkdir -p "$ARTIFACTS/${{ inputs.name }}"
        cp -r "${{ inputs.path }}/." "$ARTIFACTS/${{ inputs.name }}"
        find "$ARTIFACTS/${{ inputs.name }}" -type f -exec chmod 644 {} +
        ${{ inputs.include-hidden-files }} || find "$ARTIFACTS/${{ inputs.name }}" -mindepth 1 -name '.*' -exec rm -r {} +
`
	downloadArtifact = `
name: download-artifact
inputs: {name: {}, pattern: {}, path: {}, merge-multiple: {default: 'false'}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        mkdir -p "${{ inputs.path }}"
        [ -n "${{ inputs.name }}" ] || ${{ inputs.merge-multiple }}
        for artifact in "$ARTIFACTS/"${{ inputs.name }}${{ inputs.pattern }}; do cp -r "$artifact/." "${{ inputs.path }}"; done
`
)

// The workflow of docs/ci/organisation.yml, run by act.
func TestOrganisationUnderAct(t *testing.T) {
	if testing.Short() {
		t.Skip("the GitLab twin is enough here")
	}
	settings := goSettings(t)
	isolateProcess(t)
	for _, program := range []string{"act", "bash", "jq"} {
		needs.Program(t, program)
	}
	server := organisation(t)
	workflow, err := os.ReadFile(filepath.Join("..", "docs", "ci", "organisation.yml"))
	must(t, err)
	r := newRepo(t)
	r.git("config", "--global", "url."+server+"/.insteadOf", "https://github.com/")
	r.stage(".github/workflows/organisation.yml", string(workflow))
	r.stage("repositories.txt", repositories)
	r.save("settings")
	r.git("remote", "add", "origin", "https://github.com/example/secrets.git")
	r.write("../actions/upload/action.yml", uploadArtifact)
	r.write("../actions/download/action.yml", downloadArtifact)

	r.env = append(settings, "ARTIFACTS="+r.path("../artifacts"))
	res := r.act("workflow_dispatch", []string{
		"actions/upload-artifact@v4=" + r.path("../actions/upload"),
		"actions/download-artifact@v4=" + r.path("../actions/download"),
	})
	if res.code != 1 {
		t.Errorf("exit %d\n%s%s", res.code, res.out, res.err)
	}
	said := ""
	for line := range strings.Lines(res.out) {
		if _, text, ok := strings.Cut(line, "  | "); ok && strings.HasPrefix(line, "[organisation/summary") {
			said += text
		}
	}
	saysOrganisation(t, said)
	for _, says := range []string{"::error::example/removed has 1 finding\n", "::error::example/gone cannot be cloned"} {
		if !strings.Contains(res.out, says) {
			t.Errorf("no job says %q", says)
		}
	}
	reports, err := filepath.Glob(r.path("../artifacts/findings-*/example/*.sarif"))
	must(t, err)
	if len(reports) != 4 {
		t.Errorf("%d reports: %v", len(reports), reports)
	}
	if t.Failed() {
		t.Log(res.out + res.err)
	}
}

// The GitLab twin: its scripts, and those of the pipeline that it makes, run as
// GitLab runs them, against a server that wants the job's token.
func TestOrganisationOnGitLab(t *testing.T) {
	settings := goSettings(t)
	isolateProcess(t)
	for _, program := range []string{"bash", "jq"} {
		needs.Program(t, program)
	}
	root := organisation(t)
	content, err := os.ReadFile(filepath.Join("..", "docs", "ci", "organisation-gitlab.yml"))
	must(t, err)
	type job struct {
		Script    []string
		Extends   string
		Variables map[string]string
		Needs     []struct{ Pipeline, Job string }
		When      string
		Artifacts struct{ Paths []string }
		Trigger   struct {
			Include  []struct{ Artifact, Job string }
			Strategy string
		}
	}
	jobs := func(content string, not ...string) map[string]job {
		t.Helper()
		var parts map[string]yaml.Node
		must(t, yaml.Unmarshal([]byte(content), &parts))
		found := map[string]job{}
		for name, part := range parts {
			if !slices.Contains(not, name) {
				var one job
				must(t, part.Decode(&one))
				found[name] = one
			}
		}
		return found
	}

	git, err := exec.Command("git", "--exec-path").Output()
	must(t, err)
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(git)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if user, token, _ := q.BasicAuth(); user != "gitlab-ci-token" || token != "the-job's-token" {
			w.Header().Set("WWW-Authenticate", "Basic realm=git")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, q)
	}))
	defer server.Close()

	r := newRepo(t)
	r.git("config", "--global", "url."+root+"/.insteadOf", "https://github.com/")
	r.write("repositories.txt", repositories)
	r.env = append(settings, "CI_SERVER_URL="+server.URL, "CI_JOB_TOKEN=the-job's-token")
	script := func(r *repo, lines []string) result {
		return r.run("", "bash", "-eo", "pipefail", "-c", strings.Join(lines, "\n"))
	}

	parent := jobs(string(content), "stages")
	if res := script(r, parent["prepare"].Script); res.code != 0 {
		t.Fatalf("prepare: exit %d\n%s%s", res.code, res.out, res.err)
	}
	trigger := parent["check"]
	if len(trigger.Trigger.Include) != 1 || trigger.Trigger.Include[0].Job != "prepare" || trigger.Trigger.Strategy != "depend" || trigger.Variables["PREPARED_IN"] != "$CI_PIPELINE_ID" {
		t.Errorf("%+v", trigger)
	}
	child := jobs(r.read(trigger.Trigger.Include[0].Artifact), "stages", "default")
	check, summary := child[".check"], child["summary"]
	if len(check.Needs) != 1 || check.Needs[0].Pipeline != "$PREPARED_IN" || check.Needs[0].Job != "prepare" || summary.When != "always" {
		t.Errorf("%+v", child)
	}

	last := r.at("../last")
	codes := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(child)) {
		if child[name].Extends != ".check" {
			continue
		}
		one := r.at("../job")
		must(t, os.RemoveAll(one.dir))
		for _, path := range parent["prepare"].Artifacts.Paths {
			r.mustRun("sh", "-c", `mkdir -p "$1" && cp -r "$0" "$1"`, path, one.dir)
		}
		one.env = append(one.env, "REPOSITORY="+child[name].Variables["REPOSITORY"])
		res := script(one, check.Script)
		codes[name] = res.code
		if strings.Contains(res.out+res.err, "the-job's-token") {
			t.Error("the token is said")
		}
		for _, path := range check.Artifacts.Paths {
			one.mustRun("sh", "-c", `mkdir -p "$1" && cp -r --parents "$0" "$1"`, path, last.dir)
		}
	}
	if want := map[string]int{"example/clean": 0, "example/.github": 0, "example/removed": 1, "example/kept": 1, "example/gone": 1}; !maps.Equal(codes, want) {
		t.Errorf("the jobs end with %v, want %v", codes, want)
	}
	res := script(last, summary.Script)
	if res.code != 1 {
		t.Errorf("the summary: exit %d\n%s", res.code, res.err)
	}
	saysOrganisation(t, res.out)
	if last.read("summary.md") != res.out {
		t.Error("the summary's file has something else")
	}
	last.remove("findings/example/kept.sarif")
	if res := script(last, summary.Script); res.code != 1 || !strings.Contains(res.out, "- **example/kept was not checked**\n") {
		t.Errorf("a job that never ran: exit %d\n%s", res.code, res.out)
	}
}

// A list of repositories is refused where a line is none: names become paths, and
// words of scripts. GitHub's matrix has 256 jobs at most.
func TestOrganisationList(t *testing.T) {
	for _, program := range []string{"bash", "jq"} {
		needs.Program(t, program)
	}
	many := ""
	for i := range 600 {
		many += "a/r" + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + "\n"
	}
	for _, tt := range []struct {
		list, want string
		code       int
	}{
		{"a/b\r\n  c/d.e_f-g/h # x\na/b", `["a/b","c/d.e_f-g/h"]`, 0},
		{"", "", 2}, {"# none\n", "", 2},
		{"a", "", 2}, {"a/../b", "", 2}, {"a/b/..", "", 2}, {"-a/b", "", 2}, {"a/$(id)", "", 2}, {"a/b\nc d/e", "", 2}, {"/a/b", "", 2}, {"a/b/", "", 2}, {`a/"b`, "", 2},
		{many, "", 0},
	} {
		cmd := exec.Command(filepath.Join("..", "docs", "ci", "organisation.sh"), "groups")
		cmd.Stdin = strings.NewReader(tt.list)
		out, _ := cmd.Output()
		got := strings.TrimSpace(string(out))
		if code := cmd.ProcessState.ExitCode(); code != tt.code || tt.want != "" && got != tt.want {
			t.Errorf("%.20q: exit %d, %s", tt.list, code, got)
		}
		if tt.list == many && (strings.Count(got, ",") >= 256 || strings.Count(got, "a/r") != 600) {
			t.Errorf("600 repositories make %d groups", strings.Count(got, ",")+1)
		}
	}
}
