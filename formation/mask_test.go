package formation

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	for value, want := range map[string]string{
		"sk-abcdef": "sk-****", "sk-proj-abc": "sk-proj-****", "sk-ant-abc": "sk-ant-****", "sk-or-v1-abc": "sk-or-v1-****",
		"sk_live_abc": "sk_live_****", "sk_muxi_abc": "sk_muxi_****", "sk_abc": "sk_****", "ghp_abc": "ghp_****", "github_pat_abc": "github_pat_****",
		"AIzaSyabc": "AIza****", "AKIAabc": "AKIA****", "xoxb-abc": "xoxb-****", "BSAabc": "BSA****",
		"": "****", "a": "****", "hunter2-hunter2": "****", "x sk-abc": "****", "SK-abc": "****",
		"sk-": "****", "sk-proj-": "sk-****", // a value that is a prefix is still a value
		strings.Repeat("a", 10_000): "****",
	} {
		if got := Mask(value); got != want {
			t.Errorf("%d characters: %q, want %q", len(value), got, want)
		}
	}
}

// A mask tells nothing but the provider: two values of one provider have one mask.
func FuzzMask(f *testing.F) {
	for _, seed := range [...]string{"", "sk-", "sk-ant-x", "ghp_", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		prefix := PublicPrefix(value)
		if !strings.HasPrefix(value, prefix) || prefix != "" && prefix == value {
			t.Fatal("not the value's prefix, or all of it")
		}
		if Mask(value) != prefix+"****" || prefix != "" && PublicPrefix(prefix+"zzz") != prefix {
			t.Fatal("the mask depends on more than the prefix")
		}
	})
}
