package formation

import "strings"

// Mask returns what may be shown of a value: the public prefix by which its
// provider's keys are known, if it has one, and a mask of one fixed length.
func Mask(value string) string { return PublicPrefix(value) + "****" }

// PublicPrefix returns the prefix that every key of value's provider starts
// with, and that therefore tells nothing about this one; "" if none is known.
func PublicPrefix(value string) string {
	best := ""
	for _, prefix := range [...]string{
		"sk-", "sk-proj-", "sk-ant-", "sk-or-v1-", "sk_", "sk_muxi_", "sk_live_", "sk_test_", "rk_live_",
		"AIza", "gsk_", "xai-", "pplx-", "hf_", "r8_", "pcsk_", "lsv2_", "tvly-", "BSA", "fw_", "fma_", "fmc_",
		"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "AKIA",
	} {
		if len(prefix) > len(best) && len(value) > len(prefix) && strings.HasPrefix(value, prefix) {
			best = prefix
		}
	}
	return best
}
