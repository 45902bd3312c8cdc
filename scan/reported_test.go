package scan

import "testing"

// What a reviewer found missing.
func TestReported(t *testing.T) {
	const formationFile = "f/agents/a.afs"
	block := func(body string) string {
		return "-----BEGIN PRIVATE " + "KEY-----\n" + body + "\n-----END PRIVATE " + "KEY-----\n"
	}
	for _, tt := range []struct {
		name, path, text string
		want             Rule
	}{
		{"a literal joined to a reference, dots between", formationFile, "llm_models:\n  - api_key: sk-abc...${{ secrets.TAIL }}\n", PlaintextKey},
		{"a short literal joined to a reference", formationFile, "llm_models:\n  - api_key: \"sk-abc${{ secrets.TAIL }}\"\n", PlaintextKey},
		{"a prefix joined to a reference", formationFile, "llm_models:\n  - api_key: \"sk-${{ secrets.TAIL }}\"\n", ""},
		{"a short private key block", "deploy.pem", block("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"), KeyMaterial},
		{"a private key block of dots", "README.md", block("..."), ""},
		{"a private key block of x", "README.md", block("xxxxxxxxxxxxxxxxxxxxxxxx"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := new(Scanner).File(tt.path, []byte(tt.text), Regular)
			if tt.want == "" {
				if len(found) > 0 {
					t.Errorf("found %s", found[0].Rule)
				}
				return
			}
			if len(found) != 1 || found[0].Rule != tt.want {
				t.Errorf("%d findings, want one %s", len(found), tt.want)
			}
		})
	}
}
