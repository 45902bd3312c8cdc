//go:build unix

package commands_test

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// tokenOf is what a Fernet token looks like that was sealed then.
func tokenOf(then time.Time) string {
	payload := binary.BigEndian.AppendUint64([]byte{0x80}, uint64(then.Unix()))
	return base64.URLEncoding.EncodeToString(append(payload, make([]byte, 16+16+32)...))
}

// A vault that a change puts back is told by its time, without a key; one that
// merely stayed while the base went on is not.
func TestOlderVault(t *testing.T) {
	sideBySide(t)
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newRepo(t)
	save := func(message, vault string) {
		t.Helper()
		if vault != "" {
			r.stage("agent/secrets.enc", vault)
		}
		r.stage("notes.txt", message+"\n")
		r.save(message)
	}
	r.stage("agent/formation.afs", "id: agent\n")
	save("one", tokenOf(day))
	r.git("branch", "early")
	save("two", tokenOf(day.Add(time.Hour)))
	r.git("branch", "-m", "main")
	for _, tt := range sample([]struct {
		name, from, vault string
		older             bool
	}{
		{"back", "main", tokenOf(day), true},
		{"further back", "early", tokenOf(day.Add(-time.Second)), true},
		{"stays", "early", "", false},
		{"parallel", "early", tokenOf(day.Add(time.Minute)), false},
		{"newer", "main", tokenOf(day.Add(2 * time.Hour)), false},
		{"age", "main", "age-encryption.org/v1\n", false},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			r.git("checkout", "-q", "-B", "change", tt.from)
			save(tt.name, tt.vault)
			res := r.muxi("check", "--base", "main")
			if got := strings.Contains(res.out, "agent/secrets.enc:1:1: warning: sealed at "+"2026-"); got != tt.older {
				t.Errorf("older-vault: %v, want %v\n%s%s", got, tt.older, res.out, res.err)
			}
		})
	}
}
