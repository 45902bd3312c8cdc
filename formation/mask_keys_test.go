package formation

import "testing"

func TestKeyShape(t *testing.T) {
	const random = "Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g"
	for text, hidden := range map[string]string{
		"cannot read 'ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8'":                         "cannot read 'ghp_****'",
		"x sk-proj-" + random + ", AGE-SECRET-KEY-1" + random + "!":                      "x sk-proj-****, ****!",
		"age-secret-key-1qqqqqqqqqqqqqqqqqq":                                             "****",
		"../AGE-SECRET-KEY-PQ-1QQQQQQQQQQQQQQQ.txt":                                      "../****.txt",
		"a -----BEGIN OPENSSH PRIVATE KEY----- b3Bl -----END OPENSSH PRIVATE KEY----- b": "a **** b",
		"-----BEGIN PRIVATE KEY----- b3Bl":                                               "****",
		"'b3BlbnNzaC1rZXktdjEAAAA' x":                                                    "'****' x",
		"=dGhlIGtleSBvZiBhIGZvcm1hdGlvbiwgMzIgYnl0ZXM=":                                  "=****",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl":                              "****",
	} {
		if got := HideKeys(text); got != hidden {
			t.Errorf("HideKeys(%q) = %q, not %q", text, got, hidden)
		}
		if KeyShape(text) == "" {
			t.Errorf("KeyShape(%q) is nothing", text)
		}
	}

	for _, plain := range []string{"", "OPENAI_API_KEY", "openai-api-key", "sk-...", "an age key starts with AGE-SECRET-KEY-", "AGE-SECRET-KEY-1...", "secret_of_the_team",
		"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudh39hgs", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "SK_PROJ_" + random, "sk-****",
		"commit 64b2b6d12bfe4baae7dad3d018f8cbf6b0e7a044", "key-management/for-people.txt", "AGE-PLUGIN-YUBIKEY"} {
		if what := KeyShape(plain); what != "" || HideKeys(plain) != plain {
			t.Errorf("%q is taken for %s", plain, what)
		}
	}
}

func TestWholeKey(t *testing.T) {
	const key = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
	for text, whole := range map[string]bool{key: true, " '" + key + "'\n": true, "./" + key: false, key + ".txt": false, "": false, "a " + key: false} {
		if (WholeKey(text) != "") != whole {
			t.Errorf("WholeKey(%q) = %q", text, WholeKey(text))
		}
	}
}
