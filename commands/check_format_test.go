//go:build unix

package commands_test

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every output that a check can have.
var checkFormats = []string{"text", "json", "sarif", "github", "gitlab"}

// oddNames are file names that would break out of a format that took them raw.
var oddNames = []string{
	"plain.txt", "with space.txt", "a%b:c,d.txt", "new\nline::error::.txt", "tab\tand\\back.txt",
	"quote\"'.txt", "esc\x1b[31m.txt", "not-utf8\xff.txt", "clé/\u4e2d.txt", "a:b/c#d?e.txt", "bidi\u202e.txt", "\u0085next.txt",
}

// oddly is a repository with a leak in a file of each odd name, and one in a
// commit message.
func oddly(t testing.TB) *repo {
	r := newRepo(t)
	r.stage("base.txt", "base\n")
	r.save("base")
	r.git("branch", "origin")
	for _, name := range oddNames {
		r.stage(name, "\n"+leak)
	}
	r.save("subject\n\n" + leak)
	return r
}

func TestFormatText(t *testing.T) {
	sideBySide(t)
	r := oddly(t)
	res := r.muxi("check")
	if res.code != 1 || strings.Count(res.out, "\n") != len(oddNames) {
		t.Errorf("exit %d, %q", res.code, res.out)
	}
	for _, raw := range []string{"\x1b", "\xff", "\t", "\u202e", "\u0085"} {
		if strings.Contains(res.out+res.err, raw) {
			t.Errorf("%q is printed raw", raw)
		}
	}
	for _, want := range []string{`plain.txt:2:8: error: `, `"esc\x1b[31m.txt":2:8: `, `"new\nline::error::.txt":2:8: `, "clé/\u4e2d.txt:2:8: "} {
		if !strings.Contains(res.out, want) {
			t.Errorf("%q is missing in\n%s", want, res.out)
		}
	}
	if res := r.muxi("check", "--base", "origin"); !strings.Contains(res.out, "commit message:3:8: error: ") {
		t.Errorf("the message is not named\n%s", res.out)
	}
}

// What SARIF 2.1.0 requires of the parts that we write, and what GitHub adds
// (docs.github.com, "SARIF support for code scanning").
func TestFormatSARIF(t *testing.T) {
	sideBySide(t)
	type location struct {
		PhysicalLocation *struct {
			ArtifactLocation struct{ URI, URIBaseID string }
			Region           struct {
				StartLine, StartColumn, EndLine, EndColumn int
				Snippet                                    any
			}
			ContextRegion any
		}
		LogicalLocations []struct{ Name string }
	}
	r := oddly(t)
	for _, scope := range [][]string{nil, {"--base", "origin"}, {"--staged"}} {
		var log struct {
			Schema  string `json:"$schema"`
			Version string
			Runs    []struct {
				Tool struct {
					Driver struct {
						Name, Version, InformationURI string
						Rules                         []struct {
							ID                   string
							ShortDescription     struct{ Text string }
							FullDescription      struct{ Text string }
							Help                 struct{ Text string }
							DefaultConfiguration struct{ Level string }
						}
					}
				}
				ColumnKind         string
				OriginalURIBaseIDs map[string]any
				Results            []struct {
					RuleID              string
					RuleIndex           int
					Level               string
					Message             struct{ Text string }
					Locations           []location
					PartialFingerprints map[string]string
				}
			}
		}
		res := r.muxi(append([]string{"check", "--format", "sarif"}, scope...)...)
		if strings.Contains(res.out, "snippet") || strings.Contains(res.out, ": null") {
			t.Error("it holds a snippet, or null for a list")
		}
		must(t, json.Unmarshal([]byte(res.out), &log))
		if log.Version != "2.1.0" || !strings.Contains(log.Schema, "sarif-2.1.0") || len(log.Runs) != 1 {
			t.Fatalf("%.200s", res.out)
		}
		run := log.Runs[0]
		driver := run.Tool.Driver
		if driver.Name == "" || driver.Version == "" || len(driver.Rules) == 0 || run.Results == nil {
			t.Errorf("%+v", driver)
		}
		if u, err := url.Parse(driver.InformationURI); err != nil || !u.IsAbs() {
			t.Errorf("informationUri %q", driver.InformationURI)
		}
		if run.ColumnKind != "unicodeCodePoints" {
			t.Errorf("columnKind %q", run.ColumnKind)
		}
		for _, rule := range driver.Rules {
			if rule.ID == "" || rule.FullDescription.Text == "" || rule.Help.Text == "" || rule.ShortDescription.Text == "" || rule.ShortDescription.Text == rule.ID ||
				!slices.Contains([]string{"none", "note", "warning", "error"}, rule.DefaultConfiguration.Level) {
				t.Errorf("rule %+v", rule)
			}
		}
		var files []string
		messages := 0
		prints := map[string]bool{}
		for _, result := range run.Results {
			if result.Message.Text == "" || len(result.Locations) != 1 || driver.Rules[result.RuleIndex].ID != result.RuleID || result.Level != "error" {
				t.Errorf("%+v", result)
			}
			print := result.PartialFingerprints["primaryLocationLineHash"]
			if print == "" || prints[print] {
				t.Error("a fingerprint is missing or there twice")
			}
			prints[print] = true
			at := result.Locations[0].PhysicalLocation
			if at == nil {
				t.Errorf("a result is nowhere: %+v", result)
				continue
			}
			if len(result.Locations[0].LogicalLocations) == 1 {
				messages++
				continue
			}
			u, err := url.Parse(at.ArtifactLocation.URI)
			if err != nil || u.IsAbs() || u.Host != "" || u.RawQuery != "" || u.Fragment != "" || strings.HasPrefix(u.Path, "/") || u.Path == "" {
				t.Errorf("URI %q", at.ArtifactLocation.URI)
				continue
			}
			files = append(files, filepath.Clean(u.Path))
			if at.Region.StartLine != 2 || at.Region.StartColumn != 8 || at.Region.EndLine != 2 || at.Region.EndColumn != 9 {
				t.Errorf("region %+v", at.Region)
			}
		}
		if len(scope) == 1 {
			continue
		}
		want := slices.Clone(oddNames)
		slices.Sort(want)
		slices.Sort(files)
		if !slices.Equal(files, want) {
			t.Errorf("files %q, want %q", files, want)
		}
		if messages != min(len(scope), 1) {
			t.Errorf("%d results in messages", messages)
		}
	}
}

// Annotations as actions/toolkit writes them: one line each, `%`, CR and LF
// escaped, in properties `:` and `,` too.
func TestFormatGitHub(t *testing.T) {
	sideBySide(t)
	r := oddly(t)
	res := r.muxi("check", "--base", "origin", "--format", "github")
	line := regexp.MustCompile(`^::(error|warning) ((?:[a-zA-Z]+=[^,:]*)(?:,[a-zA-Z]+=[^,:]*)*)::(.+)$`)
	unescape := strings.NewReplacer("%0A", "\n", "%0D", "\r", "%3A", ":", "%2C", ",", "%25", "%")
	var files []string
	for text := range strings.Lines(res.out) {
		match := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if match == nil {
			t.Errorf("no annotation: %q", text)
			continue
		}
		for property := range strings.SplitSeq(match[2], ",") {
			name, value, _ := strings.Cut(property, "=")
			switch name {
			case "file":
				files = append(files, unescape.Replace(value))
			case "line":
				if value != "2" {
					t.Errorf("line %s", value)
				}
			}
		}
		if strings.ContainsAny(text, "\x1b\r") {
			t.Errorf("raw: %q", text)
		}
	}
	if len(files) != len(oddNames) || !slices.Contains(files, "a%b:c,d.txt") || !slices.Contains(files, "new\nline::error::.txt") {
		t.Errorf("files %q", files)
	}

	// About ten are shown of each kind: errors first.
	warned := newRepo(t)
	warned.formation("agent", "TOKEN=hunter2-hunter2")
	warned.at("agent").run("a-value-of-its-own", "git-muxi-secrets", "add", "AAA_UNUSED", "--stdin")
	warned.write("zzz.txt", leak)
	if res := warned.muxi("check", "--format", "github"); !strings.HasPrefix(res.out, "::error ") || !strings.Contains(res.out, "\n::warning ") {
		t.Errorf("order:\n%s", res.out)
	}
}

// The fields that GitLab requires (docs.gitlab.com, "Code Quality report
// format"); it drops entries whose fingerprints are equal.
func TestFormatGitLab(t *testing.T) {
	sideBySide(t)
	r := oddly(t)
	res := r.muxi("check", "--base", "origin", "--format", "gitlab")
	var entries []struct {
		Description string
		CheckName   string `json:"check_name"`
		Fingerprint string
		Severity    string
		Location    struct {
			Path  string
			Lines struct{ Begin int }
		}
	}
	must(t, json.Unmarshal([]byte(res.out), &entries))
	prints := map[string]bool{}
	for _, e := range entries {
		if e.Description == "" || e.CheckName == "" || e.Fingerprint == "" || e.Location.Path == "" || e.Location.Lines.Begin < 1 ||
			!slices.Contains([]string{"info", "minor", "major", "critical", "blocker"}, e.Severity) || strings.HasPrefix(e.Location.Path, "./") {
			t.Errorf("%+v", e)
		}
		if prints[e.Fingerprint] {
			t.Error("a fingerprint is there twice")
		}
		prints[e.Fingerprint] = true
	}
	if len(entries) != len(oddNames)+1 {
		t.Errorf("%d entries", len(entries))
	}
	empty := newRepo(t)
	if res := empty.muxi("check", "--format", "gitlab"); strings.TrimSpace(res.out) != "[]" {
		t.Errorf("nothing found is %q", res.out)
	}
	for _, format := range []string{"json", "sarif"} {
		if res := empty.muxi("check", "--format", format); strings.Contains(res.out, "null") {
			t.Errorf("%s: a list is null:\n%s", format, res.out)
		}
	}
}

// No format, scope or message ever holds a value, or a part of one.
func TestCheckRevealsNothing(t *testing.T) {
	long(t)
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "STORED="+storedMarker)
	key := r.read("agent/.key")
	pieces := watched(strings.TrimSpace(key))
	r.git("branch", "origin")
	r.stage("agent/secrets", "STORED="+strayMarker+"\n")
	r.stage("agent/mcp/one.afs", "auth:\n  token: "+prefixMarker+"\n  url: https://u:"+newMarker+"@example.com/\n")
	r.stage("notes "+"x.txt", storedMarker+"\n"+prefixMarker+"\nkey = "+key+"\n")
	r.stage("agent/other.key", key)
	r.stage("agent/.key", key)
	r.stage("agent/broken.afs", "a: [\n\ttoken: "+strayMarker+"\n")
	r.save("subject " + storedMarker + " " + prefixMarker)
	r.git("rm", "-q", "--cached", "agent/.key") // one that git tracks is not read
	r.mustMuxi("hooks", "install")
	for _, format := range checkFormats {
		for _, scope := range [][]string{nil, {"--base", "origin"}, {"--range", "origin..HEAD"}, {"--history"}} {
			out := filepath.Join(r.dir, "..", "out")
			res := r.muxi(append([]string{"check", "--format", format, "--output", out}, scope...)...)
			said := res.out + res.err + r.read(out)
			if res.code != 1 || !strings.Contains(said, "known-secret") {
				t.Errorf("%s %v: exit %d finds nothing", format, scope, res.code)
			}
			if reveals(said, pieces) {
				t.Errorf("%s %v holds a value", format, scope)
			}
		}
	}
	r.git("init", "-q", "--bare", "../remote.git")
	for name, res := range map[string]result{
		"baseline":   {0, r.mustMuxi("check", "--history", "--write-baseline", "base.json") + r.read("base.json"), ""},
		"push":       r.try("push", "../remote.git", "main"),
		"amend":      r.try("commit", "--amend", "-m", "x "+storedMarker),
		"pre-commit": r.muxi("hook-run", "pre-commit"),
	} {
		if reveals(res.out+res.err, pieces) {
			t.Errorf("%s holds a value", name)
		}
	}
}
