package hooks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func TestCallsOurs(t *testing.T) {
	for _, tt := range []struct {
		script, name string
		want         bool
	}{
		{"git muxi-secrets hook-run pre-push \"$@\"\n", "pre-push", true},
		{"git muxi-secrets hook-run pre-push \"$@\"\n", "pre-commit", false},
		{"#!/bin/sh\nnpm test && exec git-muxi-secrets hook-run commit-msg $1", "commit-msg", true},
		{"/opt/bin/git-muxi-secrets hook-run commit-msg $1", "commit-msg", true},
		{`"C:\tools\git-muxi-secrets.exe" hook-run pre-commit`, "pre-commit", true},
		{"git -C . muxi-secrets hook-run pre-commit", "pre-commit", true},
		{"git muxi-secrets hook-run \"$(basename \"$0\")\" \"$@\" || exit $?", "pre-push", true},
		{"bash -c 'git muxi-secrets hook-run pre-push'", "pre-push", true},
		{"if ! git muxi-secrets hook-run pre-commit; then exit 1; fi", "pre-commit", true},
		{"git muxi-secrets \\\n  hook-run pre-commit", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit", "pre-merge-commit", true},
		{"git muxi-secrets hook-run pre-merge-commit", "pre-commit", false},
		{"git muxi-secrets check --staged", "pre-commit", true},
		{"git muxi-secrets check --staged", "pre-push", false},
		{"# git muxi-secrets hook-run pre-commit", "pre-commit", false},
		{"npm test # then git muxi-secrets hook-run pre-commit", "pre-commit", false},
		{"echo git muxi-secrets hook-run pre-commit", "pre-commit", false},
		{"echo \"to check: git muxi-secrets hook-run pre-commit\"", "pre-commit", false},
		{": git muxi-secrets hook-run pre-commit", "pre-commit", false},
		{"muxi-secrets hook-run pre-commit", "pre-commit", false},
		{"git muxi-secrets hook-run", "pre-commit", false},
		{"git muxi-secrets status", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit \"$@\" || true", "pre-commit", false},
		{"bash -c 'git muxi-secrets hook-run pre-commit || :'", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit &\n", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit || exit 1 # not || true", "pre-commit", true},
		{"", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit; true", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit\nnpm test\n", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit\n\n# the end\n", "pre-commit", true},
		{"npm test\ngit muxi-secrets hook-run pre-commit\n", "pre-commit", true},
		{"#!/bin/sh\nset -e\ngit muxi-secrets hook-run pre-commit\nnpm test\n", "pre-commit", true},
		{"#!/bin/bash -euo pipefail\ngit muxi-secrets hook-run pre-commit\nnpm test\n", "pre-commit", true},
		{". \"$(dirname -- \"$0\")/_/husky.sh\"\n\ngit muxi-secrets hook-run pre-commit\nnpm test\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit && npm test\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit && npm test\necho done\n", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit || exit $?\nnpm test\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit || { echo no; exit 1; }\nnpm test\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit || exit 0", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit || return 0", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit || true", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit || :", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit || return 1\nnpm test\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit || echo no", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit\nanswer=$?\nnpm test\nexit $answer\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit\nexit\n", "pre-commit", true},
		{"git muxi-secrets hook-run pre-commit\nexit 0\n", "pre-commit", false},
		{"git muxi-secrets hook-run pre-commit | tee log", "pre-commit", false},
		{"set -o pipefail\ngit muxi-secrets hook-run pre-commit | tee log", "pre-commit", true},
		{"if command -v git-muxi-secrets >/dev/null 2>&1; then\n  git muxi-secrets hook-run pre-commit\nelse\n  echo none\nfi\n", "pre-commit", true},
		{"if command -v git-muxi-secrets >/dev/null; then\n  git muxi-secrets hook-run pre-commit\nfi\nnpm test\n", "pre-commit", false},
		{"if command -v git-muxi-secrets; then git muxi-secrets hook-run pre-commit || exit 1; else echo none; fi\nnpm test\n", "pre-commit", true},
		{"while true; do git muxi-secrets hook-run pre-commit || exit 1; break; done\n", "pre-commit", true},
		{"if ! { npm test && git muxi-secrets hook-run pre-commit; }; then exit 1; fi\nx\n", "pre-commit", true},
		{"(cd \"$top\" && git muxi-secrets hook-run pre-commit) || exit 1\nnpm test\n", "pre-commit", true},
		{"exec git muxi-secrets hook-run pre-commit \"$@\"\n: never\n", "pre-commit", true},
		{"bash -c 'git muxi-secrets hook-run pre-commit; true'", "pre-commit", false},
		{"echo \"run; git muxi-secrets hook-run pre-commit\"", "pre-commit", false},
		{"cat <<EOF\ngit muxi-secrets hook-run pre-commit\nEOF\n", "pre-commit", false},
		{"printf '%s' \"$refs\" | git muxi-secrets hook-run pre-push \"$@\" || exit $?\nexec <<REFS\n$refs\nREFS\nnpm test\n", "pre-push", true},
	} {
		if got := callsOurs(tt.script, tt.name, false) == callHeard; got != tt.want {
			t.Errorf("%q as %s: %v", tt.script, tt.name, got)
		}
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLefthookCalls(t *testing.T) {
	command := "pre-commit:\n  commands:\n    secrets:\n      run: git muxi-secrets hook-run pre-commit\n"
	for _, tt := range []struct {
		what  string
		files map[string]string
		want  bool
	}{
		{"a command", map[string]string{"lefthook.yml": command}, true},
		{"a job", map[string]string{".lefthook.yaml": "pre-commit:\n  jobs:\n    - run: npm test\n    - run: git muxi-secrets hook-run pre-commit\n"}, true},
		{"a job of a group", map[string]string{"lefthook.yml": "pre-commit:\n  jobs:\n    - group:\n        jobs: [{run: git muxi-secrets hook-run pre-commit}]\n"}, true},
		{"JSON", map[string]string{".config/lefthook.json": `{"pre-commit": {"commands": {"a": {"run": "git muxi-secrets hook-run pre-commit"}}}}`}, true},
		{"TOML", map[string]string{"lefthook.toml": "[pre-commit.commands.a]\nrun = \"git muxi-secrets hook-run pre-commit\"\n"}, true},
		{"skipped now and then", map[string]string{"lefthook.yml": command + "      skip: [merge, rebase]\n"}, true},
		{"in the local file", map[string]string{"lefthook.yml": "pre-commit: {commands: {}}\n", "lefthook-local.yml": command}, true},
		{"skipped", map[string]string{"lefthook.yml": command + "      skip: true\n"}, false},
		{"the hook is skipped", map[string]string{"lefthook.yml": command + "  skip: true\n"}, false},
		{"skipped in the local file", map[string]string{"lefthook.yml": command, "lefthook-local.yml": "pre-commit: {commands: {secrets: {skip: true}}}\n"}, false},
		{"for certain files", map[string]string{"lefthook.yml": command + "      glob: '*.js'\n"}, false},
		{"a comment", map[string]string{"lefthook.yml": "# " + strings.ReplaceAll(command, "\n", "\n# ")}, false},
		{"a comment of TOML", map[string]string{"lefthook.toml": "[pre-commit.commands.a]\n# run = \"git muxi-secrets hook-run pre-commit\"\n"}, false},
		{"another hook", map[string]string{"lefthook.yml": strings.Replace(command, "pre-commit:", "pre-push:", 1)}, false},
		{"broken", map[string]string{"lefthook.yml": "a: [\n" + command}, false},
		{"of other types", map[string]string{"lefthook.yml": "pre-commit: [x]\n"}, false},
		{"nothing", nil, false},
	} {
		top := t.TempDir()
		write(t, top, tt.files)
		if got := lefthookCalls(top, "pre-commit") == callHeard; got != tt.want {
			t.Errorf("%s: %v", tt.what, got)
		}
	}
}

func TestPreCommitCalls(t *testing.T) {
	local := func(entry, stages string) string {
		return "repos:\n  - repo: local\n    hooks:\n      - id: muxi-secrets\n        entry: " + entry + "\n        language: system\n" + stages
	}
	const published = "repos:\n  - repo: https://github.com/muxi-ai/git-muxi-secrets\n    rev: v1\n    hooks: [{id: "
	for _, tt := range []struct {
		what, settings, name string
		want                 bool
	}{
		{"a stage", local("git-muxi-secrets hook-run pre-push", "        stages: [pre-push]\n"), "pre-push", true},
		{"a stage by its older name", local("git-muxi-secrets hook-run pre-push", "        stages: [push]\n"), "pre-push", true},
		{"every stage", local("git-muxi-secrets hook-run pre-push", ""), "pre-push", true},
		{"both of a commit's", local("git-muxi-secrets hook-run pre-commit", "        stages: [commit, merge-commit]\n"), "pre-merge-commit", true},
		{"the default stages", "default_stages: [pre-push]\n" + local("git-muxi-secrets hook-run pre-push", ""), "pre-push", true},
		{"another stage", local("git-muxi-secrets hook-run pre-push", "        stages: [manual]\n"), "pre-push", false},
		{"another hook's work", local("git-muxi-secrets hook-run pre-commit", ""), "pre-push", false},
		{"other default stages", "default_stages: [pre-commit]\n" + local("git-muxi-secrets hook-run pre-push", ""), "pre-push", false},
		{"a comment", "#" + strings.ReplaceAll(local("git-muxi-secrets hook-run pre-push", ""), "\n", "\n#"), "pre-push", false},
		{"an id of the project", published + "muxi-secrets-push}]\n", "pre-push", true},
		{"the default stages are not its own", "default_stages: [manual]\n" + published + "muxi-secrets}]\n", "pre-merge-commit", true},
		{"another id of the project", published + "muxi-secrets}]\n", "pre-push", false},
		{"an id for another stage", published + "muxi-secrets, stages: [manual]}]\n", "pre-commit", false},
		{"broken", "repos: [\n", "pre-push", false},
		{"of other types", "repos: x\n", "pre-push", false},
	} {
		top := t.TempDir()
		write(t, top, map[string]string{preCommitSettings: tt.settings, "other.yaml": "repos: []\n"})
		const script = "#!/usr/bin/env bash\n# " + preCommitMark + ": https://pre-commit.com\n"
		if got := preCommitCalls(top, tt.name, script) == callHeard; got != tt.want {
			t.Errorf("%s: %v", tt.what, got)
		}
		if preCommitCalls(top, tt.name, script+"ARGS=(hook-impl --config=other.yaml --hook-type="+tt.name+")\n") != callNone {
			t.Errorf("%s: counts, and the hook reads other settings", tt.what)
		}
	}
}

// TestPublishedHooks: the ids are those of .pre-commit-hooks.yaml.
func TestPublishedHooks(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", ".pre-commit-hooks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		ID, Entry string
		Stages    []string
	}
	if err := formation.DecodeYAML(content, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(preCommitEntries) {
		t.Errorf("%d hooks, %d known", len(list), len(preCommitEntries))
	}
	for i, one := range list {
		known := preCommitEntries[i]
		if one.ID != known.id || callsOurs(one.Entry, known.hook, false) != callHeard || !slices.Contains(one.Stages, strings.TrimPrefix(known.hook, "pre-")) {
			t.Errorf("%+v, known as %+v", one, known)
		}
	}
}

func FuzzCallsOurs(f *testing.F) {
	f.Add("git muxi-secrets hook-run pre-commit # x", "pre-commit: {commands: {a: {run: git muxi-secrets check}}}")
	f.Fuzz(func(t *testing.T, script, settings string) {
		callsOurs(script, "pre-commit", false)
		var all map[string]any
		if formation.DecodeYAML([]byte(settings), &all) == nil {
			layOver(all, all)
			entryCalls(all["pre-commit"], "pre-commit")
		}
	})
}
