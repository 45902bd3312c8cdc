package docs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// strict reads a file of .github; a field that out has not is an error.
func strict(t *testing.T, file string, out any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", ".github", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestWorkflow: the workflow of this repository runs the README's test command on three
// systems, and may only read.
func TestWorkflow(t *testing.T) {
	var workflow struct {
		Name        string
		On          []string
		Permissions map[string]string
		Jobs        map[string]struct {
			Strategy struct {
				FailFast bool `yaml:"fail-fast"`
				Matrix   map[string][]string
			}
			RunsOn  string `yaml:"runs-on"`
			Timeout int    `yaml:"timeout-minutes"`
			Steps   []struct {
				Name, Uses, Run, Shell string
				With, Env              map[string]string
			}
		}
	}
	strict(t, "workflows/test.yml", &workflow)
	if !slices.Equal(workflow.On, []string{"push", "pull_request"}) {
		t.Errorf("it runs on %q", workflow.On)
	}
	if len(workflow.Permissions) != 1 || workflow.Permissions["contents"] != "read" {
		t.Errorf("it may %v", workflow.Permissions)
	}
	if got := workflow.Jobs["test"].Strategy.Matrix["os"]; !slices.Equal(got, []string{"ubuntu-latest", "macos-latest", "windows-latest"}) {
		t.Errorf("it runs on %q", got)
	}

	shown, err := os.ReadFile(filepath.Join("ci", "github.yml"))
	if err != nil {
		t.Fatal(err)
	}
	checkout := regexp.MustCompile(`actions/checkout@v\d+`).FindString(string(shown))
	for name, job := range workflow.Jobs {
		if job.RunsOn == "" || job.Timeout == 0 {
			t.Errorf("%s: %+v", name, job)
		}
		for _, step := range job.Steps {
			if strings.Contains(step.Run, "${{") {
				t.Errorf("%s: %q pastes an expression into its script", name, step.Name)
			}
			if step.Uses == "" {
				continue
			}
			if !regexp.MustCompile(`^actions/(checkout|setup-go)@v\d+$`).MatchString(step.Uses) {
				t.Errorf("%s uses %s", name, step.Uses)
			}
			if strings.HasPrefix(step.Uses, "actions/checkout@") && (step.Uses != checkout || step.With["persist-credentials"] != "false") {
				t.Errorf("%s uses %s with %v; docs/ci/github.yml has %s", name, step.Uses, step.With, checkout)
			}
		}
	}

	steps := workflow.Jobs["test"].Steps
	last := steps[len(steps)-1]
	if last.Shell != "bash" || last.Env["CI"] != "false" {
		t.Errorf("the test's step: %+v", last)
	}
	if runtime.GOOS == "windows" {
		return
	}
	needs.Program(t, "bash")
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\necho \"go is given $*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", last.Run)
	run.Dir = ".."
	run.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := run.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "go is given test ./...\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestIssueForms: GitHub would show them, and they ask for what shows no value.
func TestIssueForms(t *testing.T) {
	type form struct {
		Name, Description string
		Labels            []string
		Body              []struct {
			Type, ID    string
			Attributes  struct{ Label, Description, Value, Render string }
			Validations struct{ Required bool }
		}
	}
	for _, file := range []string{"bug.yml", "idea.yml"} {
		var f form
		strict(t, "ISSUE_TEMPLATE/"+file, &f)
		if f.Name == "" || f.Description == "" || len(f.Body) == 0 {
			t.Errorf("%s: %+v", file, f)
		}
		seen := map[string]bool{}
		text := ""
		for _, part := range f.Body {
			text += part.Attributes.Label + part.Attributes.Description + part.Attributes.Value
			switch part.Type {
			case "markdown":
				if part.Attributes.Value == "" || part.ID != "" || part.Validations.Required {
					t.Errorf("%s: %+v", file, part)
				}
			case "textarea":
				if part.Attributes.Label == "" || part.ID == "" || seen[part.ID] {
					t.Errorf("%s: %+v", file, part)
				}
				seen[part.ID] = true
			default:
				t.Errorf("%s: GitHub has no %q", file, part.Type)
			}
		}
		if !strings.Contains(text, "ever paste a value") {
			t.Errorf("%s lets values be pasted", file)
		}
		if file == "bug.yml" && (!strings.Contains(text, "git muxi-secrets doctor") || !strings.Contains(text, "GIT_MUXI_SECRETS_TRACE=1")) {
			t.Errorf("%s asks for no doctor or no trace", file)
		}
	}

	var config struct {
		Blank bool                                `yaml:"blank_issues_enabled"`
		Links []struct{ Name, URL, About string } `yaml:"contact_links"`
	}
	strict(t, "ISSUE_TEMPLATE/config.yml", &config)
	if config.Blank || len(config.Links) == 0 || !strings.HasSuffix(config.Links[0].URL, "/security/advisories/new") {
		t.Errorf("%+v", config)
	}
	for _, link := range config.Links {
		if link.Name == "" || link.About == "" || !strings.HasPrefix(link.URL, "https://") {
			t.Errorf("%+v", link)
		}
	}
}
