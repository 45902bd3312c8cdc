package commands

import (
	"fmt"
	"path"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/shell"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

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
		return "A secrets.enc is no sealed file, or holds more than the seal"
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
	case scan.UnvouchedKey:
		return "Nobody vouched for a key who held the one before it"
	case scan.UnvouchedPeople:
		return "A list of people is not signed by the formation's key"
	case scan.PeopleChanged:
		return "People came into a formation's list, or left it"
	case scan.GitFiles:
		return "A clone of a vault would lack what git has to know of it"
	case scan.KeyOutOfStep:
		return "The wrapped key, or the list of people, speaks of another key than the one that seals the vault"
	case scan.OlderVault:
		return "A vault is older than the one that was there"
	case scan.MalformedReference:
		return "The runtime will not replace this reference"
	}
	return string(rule)
}

// remedyCalls are what a remedy has a person type: in the shell sh, on and all how the program
// is called, see callFor, tells how it writes git's lines, see tellsGit, file the file
// that a finding is about, back what brings a vault back, and git a call of git's on it.
type remedyCalls struct {
	sh                         shell.Shell
	on, all, tells, file, back string
	git                        func(words string) string
}

// remedy says how to get rid of a finding.
func remedy(f scan.Finding, t remedyCalls) string {
	on, all := t.on, t.all
	switch {
	case f.Where == scan.InName:
		return "give the file, or the folder, another name ('git mv'), and leave the old one out of the commits that have it"
	case f.Where == scan.InBranch:
		return "give the branch another name: 'git branch -m NEW'"
	case f.Where == scan.InTag, f.Where == scan.InRef:
		return "give it another name: 'git tag NEW OLD', then 'git tag -d OLD'"
	case f.Where == scan.InText:
		return "who can read the text may have it: give the service a new value, and store that"
	case f.Path == "":
		return "leave it out of the message"
	}
	if on == "" && (f.Filtered != "" || !inWords(f.Rule)) {
		return ""
	}
	if f.Filtered != "" {
		return fmt.Sprintf("'%s' has git keep it as it is; then take the file itself in: '%s'", t.tells, t.git("git add --renormalize"))
	}
	switch f.Rule {
	case scan.KeyFile:
		return fmt.Sprintf("take the key out: '%s'; if it was ever pushed, %s", t.git("git rm --cached"), renews(on, all))
	case scan.KeyMaterial:
		if f.Foreign {
			return fmt.Sprintf("take the key out of the file, or the file out of the commit: '%s'; if it was ever pushed, %s", t.git("git rm --cached"), renews(on, all))
		}
		return "take the key out of the file; if it was ever pushed, " + renews(on, all)
	case scan.KnownSecret:
		return "take the value out; where the formation needs it, write ${{ secrets.NAME }}"
	case scan.PlaintextKey:
		if on == "" {
			text := "take it out of the file; what needs it can read it from the environment"
			if all != "" {
				text += ", or from the vault of its formation"
			}
			return text
		}
		return fmt.Sprintf("take it out of the file; '%s add NAME' stores it where the formation needs it", on)
	case scan.VaultNotEncrypted:
		switch vault := path.Base(f.Path) == formation.VaultFile; {
		case vault && f.Broken == crypto.MergeMarkers && on != "":
			return fmt.Sprintf("'%s resolve' merges both sides by name, also where the markers were committed", on)
		case vault && f.Broken == scan.BesideSeal && on != "":
			return fmt.Sprintf("take the line out by hand; if it holds a value, '%s add NAME' stores that then", on)
		}
		return fmt.Sprintf("move it away, since it may hold values ('%s'), and bring the sealed one back: '%s'", t.sh.MoveHome(t.file), t.back) + imports(f, t.sh, on)
	case scan.TemplateValue:
		return fmt.Sprintf("'%s extract' moves the value into the vault, under another name where that has another value for it", on)
	case scan.KeyNotIgnored:
		return fmt.Sprintf("'%s' has git ignore it", t.tells)
	case scan.UnvouchedPeople:
		if f.Remedy.Add != nil {
			return "" // its message has it
		}
		return fmt.Sprintf("somebody who has the key looks at the list and signs it: '%s share wrap'", on)
	case scan.UnvouchedKey:
		return fmt.Sprintf("ask whoever made the key how it came about, before you merge it: '%s unlock' says which commit brought it", on)
	case scan.GitFiles:
		if f.Remedy.Add != nil {
			return "" // its message has it
		}
		return fmt.Sprintf("'%s' writes the lines; '%s' brings them along", t.tells, t.git("git add"))
	case scan.UnsettledMerge:
		return fmt.Sprintf("settle each name: '%s resolve NAME --ours', '--theirs' or '--stdin'", on)
	}
	return ""
}

// renews says what makes a new key: rotate, where it is a formation's.
func renews(on, all string) string {
	switch {
	case on != "":
		return fmt.Sprintf("'%s rotate' makes a new one", on)
	case all != "":
		return fmt.Sprintf("'%s rotate --all' makes new ones", all)
	}
	return "make a new one where it is used"
}

// imports says how a formation takes in the values of a vault that was moved away.
func imports(f scan.Finding, sh shell.Shell, on string) string {
	if on == "" {
		return ""
	}
	return fmt.Sprintf("; '%s import %s' takes values in", on, sh.AtHome(path.Base(f.Path)))
}

// inWords reports whether what to do about a rule's findings can be said without a
// formation.
func inWords(rule scan.Rule) bool {
	return isLeak(rule) && rule != scan.TemplateValue || rule == scan.VaultNotEncrypted
}

// ruleHelp is what to do about a rule's findings, for reports that explain their
// rules.
func ruleHelp(rule scan.Rule) string {
	text := remedy(scan.Finding{Rule: rule, Path: "x"}, remedyCalls{
		on: program, tells: program + " init", file: "FILE", back: "git restore --staged --worktree FILE", git: func(words string) string { return words + " FILE" },
	})
	if rule == scan.PlaintextKey {
		text = fmt.Sprintf(extracts, program+" extract") + "; elsewhere, " + text
	}
	if text != "" {
		return strings.ToUpper(text[:1]) + text[1:] + "."
	}
	return "See the rules of '" + program + " check' in git-muxi-secrets(1)."
}

// mayBeAllowedByComment tells findings that stand on a line with room for a
// comment from those about a whole file or a commit's message.
func mayBeAllowedByComment(f scan.Finding) bool {
	switch f.Rule {
	case scan.KeyMaterial, scan.KnownSecret, scan.PlaintextKey, scan.TemplateValue:
		return f.Path != "" && f.Where == ""
	}
	return false
}
