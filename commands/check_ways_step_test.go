package commands

import (
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/scan"
)

func TestPeopleFollowTheStep(t *testing.T) {
	step := scan.Finding{Rule: scan.KeyOutOfStep, Path: "a/.key.age"}
	for _, tt := range []struct {
		rule scan.Rule
		path string
		want bool
	}{
		{scan.UnvouchedPeople, "a/.age-recipients", true},
		{scan.UnvouchedPeople, "b/.age-recipients", false},
		{scan.UnvouchedKey, "a/.age-recipients", false}, // who made the key has to be asked all the same
	} {
		f := scan.Finding{Rule: tt.rule, Path: tt.path}
		if got := followsStep([]scan.Finding{f, step}, f); got != tt.want {
			t.Errorf("%s of %s: %v", tt.rule, tt.path, got)
		}
	}
}
