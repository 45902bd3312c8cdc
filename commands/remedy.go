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

// remedy says how to get rid of a finding, in the shell sh; on is how the program is
// called on its formation, and file what git takes for its file.
func remedy(f scan.Finding, sh shell.Shell, on, file string) string {
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
	if f.Filtered != "" {
		return fmt.Sprintf("'%s init' has git keep it as it is; then take the file itself in: 'git add --renormalize %s'", on, file)
	}
	switch f.Rule {
	case scan.KeyFile:
		return fmt.Sprintf("take the key out: 'git rm --cached %s'; if it was ever pushed, make a new one: '%s rotate'", file, on)
	case scan.KeyMaterial:
		return fmt.Sprintf("take the key out of the file; if it was ever pushed, make a new one: '%s rotate'", on)
	case scan.KnownSecret:
		return "take the value out; where the formation needs it, write ${{ secrets.NAME }}"
	case scan.PlaintextKey:
		return fmt.Sprintf("'%[1]s extract' moves it into the vault and leaves a reference; outside of a formation's files, '%[1]s add NAME' stores it, and the file goes without", on)
	case scan.VaultNotEncrypted:
		switch vault := path.Base(f.Path) == formation.VaultFile; {
		case vault && f.Broken == crypto.MergeMarkers:
			return fmt.Sprintf("'%s resolve' merges both sides by name, also where the markers were committed", on)
		case vault && f.Broken == scan.BesideSeal:
			return fmt.Sprintf("take the line out by hand; if it holds a value, '%s add NAME' stores that then", on)
		}
		return fmt.Sprintf("move it away, since it may hold values ('%s'), and bring the sealed one back: 'git restore --staged --worktree %s'; '%s import %s' takes values in", sh.MoveHome(file), file, on, sh.AtHome(path.Base(f.Path)))
	case scan.TemplateValue:
		return fmt.Sprintf("'%s extract' moves the value into the vault, under another name where that has another value for it", on)
	case scan.KeyNotIgnored:
		return fmt.Sprintf("'%s init' has git ignore it", on)
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
		return fmt.Sprintf("'%s init' writes the lines; 'git add %s' brings them along", on, file)
	case scan.UnsettledMerge:
		return fmt.Sprintf("settle each name: '%s resolve NAME --ours', '--theirs' or '--stdin'", on)
	}
	return ""
}

// ruleHelp is what to do about a rule's findings, for reports that explain their
// rules.
func ruleHelp(rule scan.Rule) string {
	if text := remedy(scan.Finding{Rule: rule, Path: "x"}, shell.Shell{}, program, "FILE"); text != "" {
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
