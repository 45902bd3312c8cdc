package commands

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// baseline is a file of findings that a team has decided to live with. Beside
// the fingerprint it says rule and path, for people; no value is in it.
type baseline struct {
	Version  int             `json:"version"`
	Findings []baselineEntry `json:"findings"`
}

type baselineEntry struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	Path        string `json:"path"`
}

func readBaseline(path string) (map[string]bool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, &formation.FileError{Op: "read", Path: path, Err: err}
	}
	var b baseline
	if err := json.Unmarshal(content, &b); err != nil || b.Version != 1 {
		return nil, usage("the baseline is no file that --write-baseline wrote").hint("write a new one with '%s check --write-baseline FILE'", program)
	}
	set := map[string]bool{}
	for _, entry := range b.Findings {
		set[entry.Fingerprint] = true
	}
	return set, nil
}

func (s *session) writeBaseline(path string, found []scan.Finding) error {
	b := baseline{Version: 1, Findings: []baselineEntry{}}
	for _, f := range found {
		b.Findings = append(b.Findings, baselineEntry{f.Fingerprint, string(f.Rule), f.Path})
	}
	// Not the order in which git shows files, which staging one changes.
	slices.SortFunc(b.Findings, func(a, c baselineEntry) int {
		return cmp.Or(cmp.Compare(a.Path, c.Path), cmp.Compare(a.Rule, c.Rule), cmp.Compare(a.Fingerprint, c.Fingerprint))
	})
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return s.writeOutput(path, append(content, '\n'))
}

// writeOutput writes a report or a baseline: a file that may be committed.
func (s *session) writeOutput(path string, content []byte) error {
	batch := s.Files.Batch()
	defer batch.Discard()
	if err := batch.Replace(path, content, formation.ModeOf(path, 0o644)); err != nil {
		return err
	}
	return batch.Commit()
}

func fileExists(path string) (bool, error) {
	_, err := os.Stat(path)
	if os.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}
