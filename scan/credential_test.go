package scan

import "testing"

func TestIsCredential(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"STRIPE_KEY", "anything-4711", true},
		{"DB_PASSWORD", "hunter2", true},
		{"X", "sk-" + "proj-K3rt9XmPq2LwZ7vB4nY6cD8sK3rt9XmPq2LwZ7vB", true},
		{"DATABASE", "postgres://u:hunter2@h/d", true},
		{"DEBUG", "true", false},
		{"PORT", "8080", false},
		{"LOG_LEVEL", "info", false},
		{"TOKEN_KEY", "/run/secrets/token", false},
		{"API_KEY", "your-key-here", false},
		{"API_KEY", "", false},
		{"DATABASE", "postgres://localhost/d", false},
	} {
		if got := IsCredential(c.name, c.value); got != c.want {
			t.Errorf("%s=%s: %v", c.name, c.value, got)
		}
	}
}
