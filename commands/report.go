package commands

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/hooks"
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

func (s *session) writeReport(report *hooks.Report, o checkOptions) error {
	var b bytes.Buffer
	to := io.Writer(&b)
	onScreen := o.output == "" || o.output == "-"
	if shown, ok := s.Out.(*stickyWriter); ok && onScreen {
		to = &stickyWriter{Writer: &b, colours: shown.colours}
	}
	if err := formatReport(to, report, o.format); err != nil {
		return err
	}
	if onScreen {
		_, err := s.Out.Write(b.Bytes())
		return err
	}
	return s.writeOutput(s.at(o.output), b.Bytes())
}

func formatReport(w io.Writer, report *hooks.Report, format string) error {
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
	for _, f := range report.Findings {
		if _, err := fmt.Fprintln(w, textFinding(w, f)); err != nil {
			return err
		}
	}
	return nil
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

func showPlace(f scan.Finding) string {
	if f.Path == "" {
		return fmt.Sprintf("commit message:%d:%d", f.Line, f.Column)
	}
	return fmt.Sprintf("%s:%d:%d", showPath(f.Path), f.Line, f.Column)
}

// showPath quotes a path as git does where printing it raw could deceive: with
// control characters, quotes, or bytes that are no text.
func showPath(path string) string {
	plain := utf8.ValidString(path) && !strings.ContainsAny(path, `"\`)
	for _, r := range path {
		plain = plain && !steers(r)
	}
	if plain {
		return path
	}
	return strconv.QuoteToASCII(path)
}

// steers reports whether a character would steer a terminal, or turn the order of
// what stands around it.
func steers(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// jsonReport and jsonFinding are the contract's shapes, every field always there.
type jsonReport struct {
	Checked  jsonChecked   `json:"checked"`
	Findings []jsonFinding `json:"findings"`
}

type jsonChecked struct {
	Files   int             `json:"files"`
	Commits int             `json:"commits"`
	Skipped []hooks.Skipped `json:"skipped"`
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

func reportJSON(w io.Writer, report *hooks.Report) error {
	out := jsonReport{jsonChecked{report.Files, report.Commits, report.Skipped}, []jsonFinding{}}
	if out.Checked.Skipped == nil {
		out.Checked.Skipped = []hooks.Skipped{}
	}
	for _, f := range report.Findings {
		out.Findings = append(out.Findings, jsonFinding(f))
	}
	return writeJSON(w, out)
}

// reportSARIF writes SARIF 2.1.0 as GitHub code scanning takes it. No snippet is
// ever in it: that would be the secret.
func reportSARIF(w io.Writer, report *hooks.Report) error {
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
	for _, f := range report.Findings {
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
			location["logicalLocations"] = []object{{"name": "commit message", "kind": "resource"}}
			result["message"] = object{"text": "in a commit message: " + message}
		}
		result["locations"] = []object{location}
		results = append(results, result)
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
			"columnKind": "unicodeCodePoints",
			"results":    results,
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
func reportGitHub(w io.Writer, report *hooks.Report) error {
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
				message = "in a commit message: " + message
			}
			if _, err := fmt.Fprintf(w, "::%s %s::%s\n", severity, properties, escapeData(message)); err != nil {
				return err
			}
		}
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
func reportGitLab(w io.Writer, report *hooks.Report) error {
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
			e.Location.Path = "commit message"
		}
		entries = append(entries, e)
	}
	return writeJSON(w, entries)
}

// ruleText says in one sentence what a rule finds.
func ruleText(rule scan.Rule) string {
	switch rule {
	case scan.KeyFile:
		return "A key file is tracked, staged or in a commit"
	case scan.KeyMaterial:
		return "A key stands in a file of another name"
	case scan.KnownSecret:
		return "The value of a stored secret stands in a file or a commit message"
	case scan.PlaintextKey:
		return "A credential stands in plain text"
	case scan.VaultNotEncrypted:
		return "A secrets.enc is no sealed file"
	case scan.TemplateValue:
		return "A template line holds a value"
	case scan.TemplateStale:
		return "The template differs from the references"
	case scan.MissingSecret:
		return "A reference has no stored value"
	case scan.SharedKey:
		return "Two formations have one key"
	case scan.KeyNotIgnored:
		return "Git would track a key"
	case scan.KeyPermissions:
		return "A key is readable by others"
	case scan.UnusedSecret:
		return "A stored secret is referred to nowhere"
	case scan.SharedValue:
		return "Two formations have one value for the same name"
	case scan.UnsettledMerge:
		return "A contested name of a merge has not been settled"
	case scan.ValueDue:
		return "A value is older than the team allows"
	case scan.MalformedReference:
		return "The runtime will not replace this reference"
	}
	return string(rule)
}

// remedy says how to get rid of a finding.
func remedy(f scan.Finding) string {
	if f.Path == "" {
		return "leave it out of the message"
	}
	switch f.Rule {
	case scan.KeyFile:
		return "take the key out: 'git rm --cached FILE'; if it was ever pushed, make a new one: 'git muxi-secrets rotate'"
	case scan.KeyMaterial:
		return "take the key out of the file; if it was ever pushed, make a new one: 'git muxi-secrets rotate'"
	case scan.KnownSecret:
		return "take the value out; where the formation needs it, write ${{ secrets.NAME }}"
	case scan.PlaintextKey:
		return "store the value with 'git muxi-secrets add NAME' and write ${{ secrets.NAME }} in its place"
	case scan.VaultNotEncrypted:
		return "put a sealed secrets.enc in its place: 'git restore --staged --worktree FILE', or 'git muxi-secrets import' for values in it"
	case scan.TemplateValue:
		return "'git muxi-secrets sync' takes the value out of the template; 'git muxi-secrets add NAME' stores it"
	case scan.KeyNotIgnored:
		return "'git muxi-secrets init' has git ignore it"
	case scan.UnsettledMerge:
		return "settle each name: 'git muxi-secrets resolve NAME --ours', '--theirs' or '--stdin'"
	}
	return ""
}

// ruleHelp is what to do about a rule's findings, for reports that explain their
// rules.
func ruleHelp(rule scan.Rule) string {
	if text := remedy(scan.Finding{Rule: rule, Path: "x"}); text != "" {
		return strings.ToUpper(text[:1]) + text[1:] + "."
	}
	return "See the rules of 'git muxi-secrets check' in git-muxi-secrets(1)."
}

// mayBeAllowedByComment tells findings that stand on a line with room for a
// comment from those about a whole file or a commit's message.
func mayBeAllowedByComment(f scan.Finding) bool {
	switch f.Rule {
	case scan.KeyMaterial, scan.KnownSecret, scan.PlaintextKey, scan.TemplateValue:
		return f.Path != ""
	}
	return false
}
