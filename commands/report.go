package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// reportFormats are the forms a check's findings can have.
var reportFormats = [...]string{"text", "json", "sarif", "github", "gitlab"}

func knownFormat(format string) bool {
	for _, known := range reportFormats {
		if format == known {
			return true
		}
	}
	return false
}

func (s *session) writeReport(ctx context.Context, report *judge.Report, o checkOptions) error {
	var b bytes.Buffer
	to := io.Writer(&b)
	onScreen := o.output == "" || o.output == "-"
	if shown, ok := s.Out.(*stickyWriter); ok && onScreen {
		to = &stickyWriter{Writer: &b, colours: shown.colours, width: shown.width}
	}
	place := s
	if o.format != "text" {
		place = s.atTop() // where a job in CI stands, and a path in it begins
	}
	place.remedied(report.Findings)
	place.remedied(report.Silenced)
	if err := formatReport(to, report, o.format); err != nil {
		return err
	}
	if onScreen {
		_, err := s.Out.Write(b.Bytes())
		return err
	}
	return s.writeOutput(ctx, s.at(o.output), b.Bytes())
}

func formatReport(w io.Writer, report *judge.Report, format string) error {
	switch format {
	case "json":
		return reportJSON(w, report)
	case "sarif":
		return reportSARIF(w, report)
	case "github":
		return reportGitHub(w, report)
	case "gitlab":
		return reportGitLab(w, report)
	}
	return reportText(w, report.Findings)
}

// reportText writes a line for each finding, those of one file together. On a
// terminal, what one line says of several places is said once.
func reportText(w io.Writer, found []scan.Finding) error {
	for _, group := range byFile(found) {
		for len(group) > 0 {
			line, n := textFinding(w, group[0]), 1
			if foldWidth(w) > 0 {
				more := alike(group)
				if n += len(more); len(more) > 0 {
					line += paint(w, dim, ", also at "+places(more))
				}
			}
			if _, err := fmt.Fprintln(w, fold(w, line)); err != nil {
				return err
			}
			group = group[n:]
		}
	}
	return nil
}

// byFile puts the findings of each file together, in the order in which the files
// come first.
func byFile(found []scan.Finding) (groups [][]scan.Finding) {
	at := map[string]int{}
	for _, f := range found {
		place := f.Place()
		i, ok := at[place]
		if !ok {
			i = len(groups)
			at[place], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// alike are the findings behind the first that say the same of other places.
func alike(group []scan.Finding) []scan.Finding {
	first := group[0]
	n := 1
	for n < len(group) && group[n].Rule == first.Rule && group[n].Message == first.Message && group[n].Commit == first.Commit {
		n++
	}
	return group[1:n]
}

// places are as many lines as fit, with their columns.
func places(found []scan.Finding) string {
	const most = 8
	var list []string
	for _, f := range found[:min(len(found), most)] {
		list = append(list, fmt.Sprintf("%d:%d", f.Line, f.Column))
	}
	text := strings.Join(list, ", ")
	if n := len(found) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// countSilenced says how many findings do not count, and why: "2 silenced (1
// allow, 1 comment)"; "" where all count.
func countSilenced(silenced []scan.Finding) string {
	if len(silenced) == 0 {
		return ""
	}
	count := map[scan.Cause]int{}
	for _, f := range silenced {
		count[f.Silenced]++
	}
	var parts []string
	for _, cause := range [...]scan.Cause{scan.ByAllow, scan.ByBaseline, scan.ByComment} {
		if n := count[cause]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, cause))
		}
	}
	return fmt.Sprintf("%d silenced (%s)", len(silenced), strings.Join(parts, ", "))
}

// textFinding is a finding on one line, as compilers write them, for w.
func textFinding(w io.Writer, f scan.Finding) string {
	severity := paint(w, severityStyle(string(f.Severity)), string(f.Severity)+":")
	line := fmt.Sprintf("%s: %s %s [%s]", showPlace(f), severity, sanitize(f.Message), f.Rule)
	if f.Commit != "" {
		line += fmt.Sprintf(" (commit %.10s)", f.Commit)
	}
	return line
}

// inPlace says in front of a message where a finding without a path is, if the
// message does not.
func inPlace(f scan.Finding) string {
	switch f.Where {
	case "":
		return "in a commit message: "
	case scan.InText:
		return "in " + string(f.Where) + ": "
	}
	return ""
}

func showPlace(f scan.Finding) string {
	switch {
	case f.Path != "":
		return fmt.Sprintf("%s:%d:%d", showPath(f.Path), f.Line, f.Column)
	case f.Where == "" || f.Where == scan.InText:
		return fmt.Sprintf("%s:%d:%d", f.Place(), f.Line, f.Column)
	}
	return f.Place()
}

// jsonReport and jsonFinding are the contract's shapes, every field always there.
type jsonReport struct {
	Checked  jsonChecked    `json:"checked"`
	Silenced []jsonSilenced `json:"silenced"`
	Findings []jsonFinding  `json:"findings"`
}

type jsonSilenced struct {
	Cause       scan.Cause `json:"cause"`
	Rule        scan.Rule  `json:"rule"`
	Path        string     `json:"path"`
	Line        int        `json:"line"`
	Fingerprint string     `json:"fingerprint"`
}

type jsonChecked struct {
	Files   int             `json:"files"`
	Commits int             `json:"commits"`
	Skipped []judge.Skipped `json:"skipped"`
}

type jsonFinding struct {
	Rule        scan.Rule     `json:"rule"`
	Severity    scan.Severity `json:"severity"`
	Path        string        `json:"path"`
	Line        int           `json:"line"`
	Column      int           `json:"column"`
	Commit      string        `json:"commit"`
	Secret      string        `json:"secret"`
	Message     string        `json:"message"`
	Fingerprint string        `json:"fingerprint"`
}

func reportJSON(w io.Writer, report *judge.Report) error {
	out := jsonReport{jsonChecked{report.Files, report.Commits, report.Skipped}, []jsonSilenced{}, []jsonFinding{}}
	if out.Checked.Skipped == nil {
		out.Checked.Skipped = []judge.Skipped{}
	}
	for _, f := range report.Findings {
		out.Findings = append(out.Findings, jsonFinding{f.Rule, f.Severity, f.Path, f.Line, f.Column, f.Commit, f.Secret, f.Message, f.Fingerprint})
	}
	for _, f := range report.Silenced {
		out.Silenced = append(out.Silenced, jsonSilenced{f.Silenced, f.Rule, f.Path, f.Line, f.Fingerprint})
	}
	return writeJSON(w, out)
}

// reportSARIF writes SARIF 2.1.0 as GitHub code scanning takes it. No snippet is
// ever in it: that would be the secret.
func reportSARIF(w io.Writer, report *judge.Report) error {
	type object = map[string]any
	rules := []object{}
	index := map[scan.Rule]int{}
	for i, rule := range scan.Rules() {
		index[rule] = i
		rules = append(rules, object{
			"id":                   rule,
			"name":                 rule,
			"shortDescription":     object{"text": ruleText(rule)},
			"fullDescription":      object{"text": ruleText(rule) + "."},
			"help":                 object{"text": ruleHelp(rule)},
			"defaultConfiguration": object{"level": rule.Severity()},
		})
	}
	results := []object{}
	for _, f := range slices.Concat(report.Findings, report.Silenced) {
		message := f.Message
		if f.Commit != "" {
			message += fmt.Sprintf(" (commit %.10s)", f.Commit)
		}
		result := object{
			"ruleId":    f.Rule,
			"ruleIndex": index[f.Rule],
			"level":     f.Severity,
			"message":   object{"text": message},
			"partialFingerprints": object{
				"muxiSecrets/v1":          f.Fingerprint,
				"primaryLocationLineHash": f.Fingerprint, // the only one that GitHub looks at
			},
		}
		location := object{"physicalLocation": object{
			"artifactLocation": object{"uri": pathURI(f.Path), "uriBaseId": "%SRCROOT%"},
			// GitHub wants an end. The real one would tell how long a value is.
			"region": object{"startLine": f.Line, "startColumn": f.Column, "endLine": f.Line, "endColumn": f.Column + 1},
		}}
		if f.Path == "" {
			// GitHub refuses a whole report for one result without a file.
			location["physicalLocation"].(object)["artifactLocation"] = object{"uri": "COMMIT_EDITMSG"}
			location["logicalLocations"] = []object{{"name": f.Place(), "kind": "resource"}}
			result["message"] = object{"text": inPlace(f) + message}
		}
		result["locations"] = []object{location}
		switch f.Silenced {
		case scan.ByComment:
			result["suppressions"] = []object{{"kind": "inSource"}}
		case scan.ByAllow, scan.ByBaseline:
			result["suppressions"] = []object{{"kind": "external", "justification": f.Silenced}}
		}
		results = append(results, result)
	}
	notifications := []object{}
	for _, part := range report.Skipped {
		notifications = append(notifications, object{
			"level":     "note",
			"message":   object{"text": "not checked in full: " + part.Reason},
			"locations": []object{{"physicalLocation": object{"artifactLocation": object{"uri": pathURI(part.Path), "uriBaseId": "%SRCROOT%"}}}},
		})
	}
	return writeJSON(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []object{{
			"tool": object{"driver": object{
				"name":           "git-muxi-secrets",
				"version":        strings.TrimPrefix(buildVersion(), "v"),
				"informationUri": "https://github.com/muxi-ai/git-muxi-secrets",
				"rules":          rules,
			}},
			"columnKind":  "unicodeCodePoints",
			"invocations": []object{{"executionSuccessful": true, "toolExecutionNotifications": notifications}},
			"results":     results,
		}},
	})
}

// pathURI is a path as the relative URI that SARIF wants.
func pathURI(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	uri := strings.Join(parts, "/")
	if strings.Contains(parts[0], ":") {
		uri = "./" + uri // else what stands before the colon reads as a scheme
	}
	return uri
}

// reportGitHub writes workflow commands, which GitHub Actions shows as
// annotations: about ten of each kind, so errors come first.
func reportGitHub(w io.Writer, report *judge.Report) error {
	for _, severity := range [...]scan.Severity{scan.Error, scan.Warning} {
		for _, f := range report.Findings {
			if f.Severity != severity {
				continue
			}
			message := f.Message
			if f.Commit != "" {
				message += fmt.Sprintf(" (commit %.10s)", f.Commit)
			}
			properties := "title=" + escapeProperty("git muxi-secrets: "+string(f.Rule))
			if f.Path != "" {
				properties = fmt.Sprintf("file=%s,line=%d,col=%d,%s", escapeProperty(f.Path), f.Line, f.Column, properties)
			} else {
				message = inPlace(f) + message
			}
			if _, err := fmt.Fprintf(w, "::%s %s::%s\n", severity, properties, escapeData(message)); err != nil {
				return err
			}
		}
	}
	for _, part := range report.Skipped {
		if _, err := fmt.Fprintf(w, "::notice file=%s,title=git muxi-secrets::not checked in full: %s\n", escapeProperty(part.Path), escapeData(part.Reason)); err != nil {
			return err
		}
	}
	if silenced := countSilenced(report.Silenced); silenced != "" {
		_, err := fmt.Fprintf(w, "::notice title=git muxi-secrets::%s\n", escapeData(silenced))
		return err
	}
	return nil
}

func escapeData(text string) string {
	// GitHub shows a log as a terminal does, and knows no escape for the rest.
	text = strings.Map(func(r rune) rune {
		if r != '\r' && r != '\n' && steers(r) {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func escapeProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(text))
}

// reportGitLab writes a code quality report, which GitLab shows in merge
// requests.
func reportGitLab(w io.Writer, report *judge.Report) error {
	type lines struct {
		Begin int `json:"begin"`
	}
	type location struct {
		Path  string `json:"path"`
		Lines lines  `json:"lines"`
	}
	type entry struct {
		Description string   `json:"description"`
		CheckName   string   `json:"check_name"`
		Fingerprint string   `json:"fingerprint"`
		Severity    string   `json:"severity"`
		Location    location `json:"location"`
	}
	entries := []entry{}
	for _, f := range report.Findings {
		e := entry{f.Message, string(f.Rule), f.Fingerprint, "critical", location{f.Path, lines{max(f.Line, 1)}}}
		if f.Severity == scan.Warning {
			e.Severity = "minor"
		}
		if f.Commit != "" {
			e.Description += fmt.Sprintf(" (commit %.10s)", f.Commit)
		}
		if f.Path == "" {
			e.Location.Path = f.Place()
		}
		entries = append(entries, e)
	}
	for _, part := range report.Skipped {
		entries = append(entries, entry{"not checked in full: " + part.Reason, "skipped", scan.Fingerprint("skipped", part.Path, part.Reason), "info", location{part.Path, lines{1}}})
	}
	if silenced := report.Silenced; len(silenced) > 0 {
		first := silenced[0]
		entries = append(entries, entry{countSilenced(silenced), "silenced", scan.Fingerprint("silenced", first.Path, countSilenced(silenced)), "info",
			location{first.Place(), lines{max(first.Line, 1)}}})
	}
	return writeJSON(w, entries)
}
