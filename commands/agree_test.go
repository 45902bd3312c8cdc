//go:build unix

package commands_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// What check, status, sync and doctor say of a formation is one look, in other words:
// in no state do they disagree.
func TestLooksAgree(t *testing.T) {
	sideBySide(t)
	more := func(text string) func(r *repo) {
		return func(r *repo) { r.write("agent/formation.afs", r.read("agent/formation.afs")+text) }
	}
	put := func(path, content string) func(r *repo) { return func(r *repo) { r.write("agent/"+path, content) } }
	remove := func(paths ...string) func(r *repo) {
		return func(r *repo) {
			for _, path := range paths {
				r.remove(path)
			}
		}
	}
	key := func(content string) func(r *repo) {
		return func(r *repo) {
			r.remove("agent/.key")
			must(r, os.WriteFile(r.path("agent/.key"), []byte(content), 0o600))
		}
	}
	for _, tt := range sample([]struct {
		name string
		make func(r *repo)
	}{
		{"whole", func(*repo) {}},
		{"a name too many in the template", put("secrets", "OTHER=\nTOKEN=\n")},
		{"no template", remove("agent/secrets")},
		{"an empty template", put("secrets", "")},
		{"comments in the template", put("secrets", "# from the portal\nTOKEN=ghp_...\n")},
		{"a value in the template", put("secrets", "TOKEN=hunter2-hunter3\n")},
		{"a link for a template", func(r *repo) {
			must(r, os.Rename(r.path("agent/secrets"), r.path("agent/names")))
			must(r, os.Symlink("names", r.path("agent/secrets")))
		}},
		{"missing", more("y: ${{ secrets.MISSING }}\n")},
		{"missing, and in the template", func(r *repo) {
			more("y: ${{ secrets.MISSING }}\n")(r)
			r.at("agent").mustMuxi("sync")
		}},
		{"optional", more("y: ${{ secrets.MISSING || '' }}\n")},
		{"unused", func(r *repo) { r.run("another-value", "git-muxi-secrets", "-C", "agent", "add", "UNUSED", "--stdin") }},
		{"malformed", more("y: ${{ secret.TOKEN }}\nz: ${{ secrets.token }}\n")},
		{"malformed in a page", put("sops/a.md", "${{ secret.TOKEN }}\n\n${{ secrets.a-b }}\n")},
		{"a transformer", put("transformers/a.yaml", "x: ${{ secrets.slack-url }}\n")},
		{"an agent that is not loaded", func(r *repo) {
			more("agents: [a]\n")(r)
			put("agents/b.afs", "x: ${{ secrets.SPARE }}\n")(r)
		}},
		{"broken YAML", put("agents/a.afs", "x: [\ny: ${{ secrets.OTHER }}\n")},
		{"key kept", remove("agent/.key")},
		{"key lost", remove("agent/.key", ".git/muxi-secrets/keys")},
		{"key lost, template stale", func(r *repo) {
			remove("agent/.key", ".git/muxi-secrets/keys")(r)
			more("y: ${{ secrets.MORE }}\n")(r)
		}},
		{"key wrong", func(r *repo) {
			remove(".git/muxi-secrets/keys")(r)
			key("wKFpUlUMRPdsj0Ke2BaVNkaDJ2Jt6BCvYiPQqVZPJIc=")(r)
		}},
		{"key malformed", func(r *repo) {
			remove(".git/muxi-secrets/keys")(r)
			key("none")(r)
		}},
		{"key empty", key("")},
		{"key tracked", func(r *repo) { r.git("add", "-f", "agent/.key") }},
		{"key a folder", func(r *repo) {
			r.remove("agent/.key")
			must(r, os.Mkdir(r.path("agent/.key"), 0o755))
		}},
		{"vault of markers", put("secrets.enc", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n")},
		{"vault of text", put("secrets.enc", "{}")},
		{"vault gone", remove("agent/secrets.enc")},
		{"nothing yet", remove("agent/secrets.enc", "agent/.key", ".git/muxi-secrets/keys")},
		{"key alone", func(r *repo) {
			remove("agent/secrets.enc")(r)
			r.git("rm", "-q", "--cached", "agent/secrets.enc")
		}},
		{"age", func(r *repo) { r.at("agent").mustMuxi("convert", "--to", "age") }},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.formation("agent", "TOKEN=hunter2-hunter2")
			tt.make(r)
			compareLooks(t, r)
		})
	}
}

// compareLooks fails where the commands disagree.
func compareLooks(t *testing.T, r *repo) {
	t.Helper()
	check, res := r.check()
	if res.code > 1 {
		t.Fatalf("check: exit %d\n%s", res.code, res.err)
	}
	names := map[string][]string{}
	for _, f := range check.Findings {
		names[f.Rule] = append(names[f.Rule], f.Secret)
	}
	of := func(list []string) string {
		slices.Sort(list)
		return strings.Join(list, " ")
	}

	var status struct {
		Formations []struct {
			Key, Template   string
			Missing, Unused []string
			Problems        []string
		}
	}
	must(t, json.Unmarshal([]byte(r.mustMuxi("-C", "agent", "status", "--json")), &status))
	st := status.Formations[0]
	replaced := 0
	for _, problem := range st.Problems {
		if strings.Contains(problem, "will not replace this reference") {
			replaced++
		}
	}

	var all struct{ Checks []doctorCheck }
	if err := json.Unmarshal([]byte(r.muxi("-C", "agent", "doctor", "--json").out), &all); err != nil {
		t.Fatal(err)
	}
	fails := func(name string) bool {
		return slices.ContainsFunc(all.Checks, func(c doctorCheck) bool { return c.Check == name && c.State == "fail" })
	}
	sync := r.muxi("-C", "agent", "sync", "--check")

	current := map[string]bool{"status": st.Template == "current"} // by command
	fresh := strings.Contains(r.mustMuxi("-C", "agent", "status"), "key         none yet")
	if !fresh { // else the template is what its author made of it
		current["check"] = len(names["template-stale"]) == 0
		current["doctor"] = !fails("template")
	}
	if sync.code <= 1 {
		current["sync"] = sync.code == 0
	}
	for command, says := range current {
		if says != current["status"] {
			t.Errorf("template: %s says %t, and status %t", command, says, current["status"])
		}
	}
	if st.Key == "ok" && !fresh {
		if got, want := of(names["missing-secret"]), of(st.Missing); got != want && want != "" {
			t.Errorf("missing: check says %q, status %q", got, want)
		}
		if got, want := of(names["unused-secret"]), of(st.Unused); got != want {
			t.Errorf("unused: check says %q, status %q", got, want)
		}
	}
	if !fresh && (st.Key != "ok") != (fails("key") || fails("key-tracked")) {
		t.Errorf("key: status says %s, doctor %v", st.Key, fails("key"))
	}
	if got := len(names["malformed-reference"]); got != replaced {
		t.Errorf("malformed: check says %d, status %d", got, replaced)
	}
	if (replaced > 0) != (fails("reference-malformed") || fails("reference-spelling")) {
		t.Errorf("malformed: status says %d, doctor otherwise", replaced)
	}
}
