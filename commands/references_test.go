//go:build unix

package commands_test

import (
	"slices"
	"strings"
	"testing"
)

// Every part of the program sees the same references: where one counts, it keeps
// its secret from being deleted or called unused, it is in the template, a missing
// value is said, and a rename goes along.
func TestEverybodySeesTheSameReferences(t *testing.T) {
	sideBySide(t)
	const name = "SLACK_WEBHOOK_URL"
	for _, tt := range sample([]struct {
		about, file, before, spelled, behind string
		not                                  bool   // no reference there
		severity                             string // of a missing value
		malformed                            bool
	}{
		{about: "agent", file: "agents/a.afs", before: "x: ${{ secrets.", spelled: name},
		{about: "undeclared agent", file: "agents/b.afs", before: "x: ${{ secrets.", spelled: name, severity: "warning"},
		{about: "agent, by hyphens", file: "agents/a.afs", before: "x: ${{ secrets.", spelled: "slack-webhook-url", not: true, malformed: true},
		{about: "agent, lower case", file: "agents/a.afs", before: "x: ${{ secrets.", spelled: "slack_webhook_url", malformed: true},
		{about: "server in JSON", file: "mcp/a.json", before: `{"x": "${{ secrets.`, spelled: name, behind: `"}`},
		{about: "transformer", file: "transformers/a.yaml", before: "x: ${{ secrets.", spelled: "slack-webhook-url"},
		{about: "trigger", file: "triggers/a.md", before: "---\nwebhook: ${{ secrets.", spelled: "slack.webhook.url", behind: "\n---\nGo.\n"},
		{about: "body of a trigger", file: "triggers/a.md", before: "---\nname: x\n---\n${{ secrets.", spelled: "slack-webhook-url", not: true, malformed: true},
		{about: "channel", file: "formation.afs", before: "proactive:\n  channels:\n    x:\n      url: ${{ secrets.", spelled: "Slack-Webhook-URL"},
		{about: "skill", file: "skills/s/SKILL.md", before: "${{ secrets.", spelled: name},
		{about: "page of a skill", file: "skills/s/references/a.md", before: "${{ secrets.", spelled: name, severity: "warning"},
		{about: "a workflow of GitHub's", file: ".github/workflows/a.yaml", before: "x: ${{ secrets.", spelled: name, not: true},
		{about: "a page of documentation", file: "README.md", before: "${{ secrets.", spelled: name, not: true},
	}) {
		t.Run(tt.about, func(t *testing.T) {
			r := newRepo(t)
			r.formation("agent", name+"=hunter2-hunter2")
			in := r.at("agent")
			// The formation of these tests refers to each of its values.
			r.write("agent/formation.afs", "id: x\nagents: [a]\n")
			r.write("agent/"+tt.file, tt.before+tt.spelled+" }}"+tt.behind)
			r.remove("agent/secrets")
			in.mustMuxi("sync")

			if got, want := r.rulesOf(name), unless(tt.not, "unused-secret warning"); !slices.Equal(got, want) {
				t.Errorf("stored: check finds %q, want %q", got, want)
			}
			first, _ := r.check()
			if got := slices.ContainsFunc(first.Findings, func(f checkedFinding) bool { return f.Rule == "malformed-reference" }); got != tt.malformed {
				t.Errorf("malformed-reference: %t", got)
			}
			if got := strings.Contains(in.mustMuxi("status"), "will not replace this reference"); got != tt.malformed {
				t.Errorf("status speaks of a malformed reference: %t", got)
			}
			if code := in.muxi("delete", name).code; (code == 1) == tt.not {
				t.Errorf("delete: exit %d", code)
			}
			if tt.not {
				return
			}

			if out := in.mustMuxi("sync", "--prune", "--dry-run"); strings.Contains(out, name) {
				t.Errorf("sync --prune would delete it: %s", out)
			}
			if !strings.Contains(in.mustMuxi("list", "--json"), `"referenced": true`) {
				t.Error("list calls it unreferenced")
			}

			in.mustMuxi("rename", name, "NEWER")
			if text := r.read("agent/" + tt.file); text != tt.before+"NEWER }}"+tt.behind {
				t.Errorf("renamed: %s", text)
			}
			in.mustMuxi("rename", "NEWER", name)

			in.mustMuxi("delete", "--force", name)
			if r.read("agent/secrets") != name+"=\n" {
				t.Errorf("the template has %q", r.read("agent/secrets"))
			}
			severity := "error"
			if tt.severity != "" {
				severity = tt.severity
			}
			if got := r.rulesOf(name); !slices.Equal(got, []string{"missing-secret " + severity}) {
				t.Errorf("deleted: check finds %q", got)
			}
			if status := in.mustMuxi("status"); !strings.Contains(status, "missing     "+name) {
				t.Errorf("status: %s", status)
			}
			fails := "fail  no value for " + name
			if severity == "warning" {
				fails = "warn  no value for " + name
			}
			if doctor := in.muxi("doctor").out; !strings.Contains(doctor, fails) {
				t.Errorf("doctor: %s", doctor)
			}
		})
	}
}

func unless(not bool, rule string) []string {
	if not {
		return []string{rule}
	}
	return nil
}

// rulesOf is what a plain check finds about one name, without what git lacks.
func (r *repo) rulesOf(name string) (rules []string) {
	c, _ := r.check()
	for _, f := range c.Findings {
		if f.Secret == name {
			rules = append(rules, f.Rule+" "+f.Severity)
		}
	}
	return rules
}
