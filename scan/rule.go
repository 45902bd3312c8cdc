package scan

// Rule names what a finding is about. The names are public: they stand in
// reports, in baselines and in the allow list of a repository.
type Rule string

// The rules. Those below "state rules" are judged from a formation as a whole,
// by the packages above this one; they are listed here so that a rule's
// severity has one home.
const (
	KeyFile            Rule = "key-file"
	KeyMaterial        Rule = "key-material"
	KnownSecret        Rule = "known-secret"
	PlaintextKey       Rule = "plaintext-key"
	VaultNotEncrypted  Rule = "vault-not-encrypted"
	TemplateValue      Rule = "template-value"
	MalformedReference Rule = "malformed-reference"

	// State rules.
	TemplateStale  Rule = "template-stale"
	MissingSecret  Rule = "missing-secret"
	SharedKey      Rule = "shared-key"
	KeyNotIgnored  Rule = "key-not-ignored"
	KeyPermissions Rule = "key-permissions"
	UnusedSecret   Rule = "unused-secret"
	SharedValue    Rule = "shared-value"
	UnsettledMerge Rule = "unsettled-merge"
	ValueDue       Rule = "value-due"

	UnvouchedKey    Rule = "unvouched-key"
	UnvouchedPeople Rule = "unvouched-people"
	PeopleChanged   Rule = "people-changed"
	OlderVault      Rule = "older-vault"
	KeyOutOfStep    Rule = "key-out-of-step"
	GitFiles        Rule = "git-files"
)

// Severity is "error" or "warning".
type Severity string

// The severities. Errors make a check fail; warnings only where they are asked to.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Severity of the rule's findings. An unknown rule is an error, so that a typing
// mistake never lets a leak pass.
func (r Rule) Severity() Severity {
	switch r {
	case KeyPermissions, UnusedSecret, SharedValue, ValueDue, PeopleChanged, OlderVault, MalformedReference:
		return Warning
	}
	return Error
}

// MayBeSilenced reports whether settings and a baseline count for the rule. Whom
// and what nobody vouched for is let through by the key alone: a file that says
// otherwise came the same way.
func (r Rule) MayBeSilenced() bool { return r != UnvouchedKey && r != UnvouchedPeople }

// Rules lists every rule in the order in which the documentation names them.
func Rules() []Rule {
	return []Rule{
		KeyFile, KeyMaterial, KnownSecret, PlaintextKey, VaultNotEncrypted, TemplateValue,
		TemplateStale, MissingSecret, SharedKey, KeyNotIgnored, KeyPermissions, UnusedSecret,
		SharedValue, UnsettledMerge, ValueDue, UnvouchedKey, UnvouchedPeople, PeopleChanged, KeyOutOfStep, OlderVault, GitFiles, MalformedReference,
	}
}
