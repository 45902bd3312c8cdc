package commands

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// reported is a report of each kind of finding: in the work tree, in a commit, in a
// message, a warning, and one that does not count.
func reported() *judge.Report {
	found := func(rule scan.Rule, path, commit string, line int) scan.Finding {
		f := scan.NewFinding(rule, path, "", line, 3, "what of %s", rule)
		f.Commit, f.Fingerprint = commit, string(rule)
		return f
	}
	silenced := found(scan.PlaintextKey, "quiet.txt", "", 5)
	silenced.Silenced = scan.ByBaseline
	byComment := found(scan.TemplateValue, "secrets", "", 6)
	byComment.Silenced = scan.ByComment
	return &judge.Report{
		Findings: []scan.Finding{
			found(scan.UnusedSecret, "agent/secrets.enc", "", 1),
			found(scan.KeyFile, "here/.key", "", 1),
			found(scan.KnownSecret, "then.txt", "0123456789abcdef", 2),
			found(scan.KeyMaterial, "", "fedcba9876543210", 4),
		},
		Silenced: []scan.Finding{silenced, byComment},
		Skipped:  []judge.Skipped{{Path: "big.bin", Reason: "too long"}},
	}
}

func formatted(t *testing.T, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := formatReport(&b, reported(), format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A commit is named where there is one, by ten characters, and a message is called
// one; errors come before warnings.
func TestReportGitHub(t *testing.T) {
	want := `::error file=here/.key,line=1,col=3,title=git muxi-secrets%3A key-file::what of key-file
::error file=then.txt,line=2,col=3,title=git muxi-secrets%3A known-secret::what of known-secret (commit 0123456789)
::error title=git muxi-secrets%3A key-material::in a commit message: what of key-material (commit fedcba9876)
::warning file=agent/secrets.enc,line=1,col=3,title=git muxi-secrets%3A unused-secret::what of unused-secret
::notice file=big.bin,title=git muxi-secrets::not checked in full: too long
::notice title=git muxi-secrets::2 silenced (1 baseline, 1 comment)
`
	if got := formatted(t, "github"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A warning is minor and an error critical, each on a line that there can be.
func TestReportGitLab(t *testing.T) {
	var entries []struct {
		Description, Severity string
		Location              struct {
			Path  string
			Lines struct{ Begin int }
		}
	}
	if err := json.Unmarshal([]byte(formatted(t, "gitlab")), &entries); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		severity, path string
		line           int
		description    string
	}{
		{"minor", "agent/secrets.enc", 1, "what of unused-secret"},
		{"critical", "here/.key", 1, "what of key-file"},
		{"critical", "then.txt", 2, "what of known-secret (commit 0123456789)"},
		{"critical", "commit message", 4, "what of key-material (commit fedcba9876)"},
		{"info", "big.bin", 1, "not checked in full: too long"},
		{"info", "quiet.txt", 5, "2 silenced (1 baseline, 1 comment)"},
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries, want %d", len(entries), len(want))
	}
	for i, e := range entries {
		if w := want[i]; e.Severity != w.severity || e.Location.Path != w.path || e.Location.Lines.Begin != w.line || e.Description != w.description {
			t.Errorf("%+v, want %+v", e, w)
		}
	}
}

// The commit stands in a result's message only where there is one; what does not
// count is there, and says why.
func TestReportSARIF(t *testing.T) {
	type uri struct {
		PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
		LogicalLocations []struct{ Name string }
	}
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []uri
				Suppressions  []struct{ Kind, Justification string }
			}
			Invocations []struct {
				ToolExecutionNotifications []struct {
					Message   struct{ Text string }
					Locations []uri
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(formatted(t, "sarif")), &log); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range log.Runs[0].Results {
		line := r.RuleID + " " + r.Level + " " + r.Locations[0].PhysicalLocation.ArtifactLocation.URI + ": " + r.Message.Text
		for _, at := range r.Locations[0].LogicalLocations {
			line += " @" + at.Name
		}
		for _, why := range r.Suppressions {
			line += " " + why.Kind + " " + why.Justification
		}
		got = append(got, strings.TrimSpace(line))
	}
	for _, n := range log.Runs[0].Invocations[0].ToolExecutionNotifications {
		got = append(got, n.Locations[0].PhysicalLocation.ArtifactLocation.URI+": "+n.Message.Text)
	}
	want := `unused-secret warning agent/secrets.enc: what of unused-secret
key-file error here/.key: what of key-file
known-secret error then.txt: what of known-secret (commit 0123456789)
key-material error COMMIT_EDITMSG: in a commit message: what of key-material (commit fedcba9876) @commit message
plaintext-key error quiet.txt: what of plaintext-key external baseline
template-value error secrets: what of template-value inSource
big.bin: not checked in full: too long`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// A name that is plain is code; of all others each character that could mean
// something in Markdown is an entity, and what steers a terminal is none.
func TestMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"agents/a_b-1.x": "`agents/a_b-1.x`",
		"HEAD~2^":        "`HEAD~2^`",
		"":               "",
		"a b":            "a b",
		"a|b":            "a&#124;b",
		"[x](y)":         "&#91;x&#93;&#40;y&#41;",
		"<b>`é`":         "&#60;b&#62;&#96;é&#96;",
		"x\n| y":         "x\ufffd&#124; y",
		"a\x1b[1m\xff":   "a\ufffd&#91;1m\ufffd",
		"9Z!za":          "9Z&#33;za",
	} {
		if got := markdown(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
