//go:build unix

package commands_test

import (
	"os"
	"strings"
	"testing"
)

// refer appends a reference to a formation's file.
func (r *repo) refer(path string, names ...string) {
	r.Helper()
	text := r.read(path)
	for _, name := range names {
		text += "# more\n" + strings.ToLower(name) + ": ${{ secrets." + name + " }}\n"
	}
	r.write(path, text)
}

// show is a file of a commit, or of the index ("").
func (r *repo) show(rev, path string) string {
	r.Helper()
	res := r.try("show", rev+":"+path)
	if res.code != 0 {
		return "(none)"
	}
	return res.out
}

// The template of a formation that a commit touches is made anew: what is
// committed from what is committed, what is on disk from what is on disk.
func TestHookKeepsTemplates(t *testing.T) {
	sideBySide(t)
	const file, template = "agent/formation.afs", "agent/secrets"
	for _, tt := range sample([]struct {
		name   string
		run    func(r *repo) result
		commit string // the template in HEAD
		index  string // in the index, if not as in HEAD
		disk   string // on disk, if not as in the index
		status string
		stops  bool
	}{
		{name: "plain", run: func(r *repo) result {
			r.refer(file, "NEW")
			r.git("add", file)
			return r.try("commit", "-qm", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "-a", run: func(r *repo) result {
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "PATH", run: func(r *repo) result {
			r.refer(file, "NEW")
			return r.try("commit", "-qm", "x", file)
		}, commit: "NEW=\nOLD=\n"},
		{name: "PATH, run from the formation", run: func(r *repo) result {
			r.refer(file, "NEW")
			return r.at("agent").try("commit", "-qm", "x", "formation.afs")
		}, commit: "NEW=\nOLD=\n"},
		{name: "amend", run: func(r *repo) result {
			r.refer(file, "NEW")
			return r.try("commit", "-qa", "--amend", "-m", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "plain, more on disk", run: func(r *repo) result {
			r.refer(file, "NEW")
			r.git("add", file)
			r.refer(file, "LATER")
			return r.try("commit", "-qm", "x")
		}, commit: "NEW=\nOLD=\n", disk: "LATER=\nNEW=\nOLD=\n", status: " M agent/formation.afs\n M agent/secrets"},
		{name: "PATH, more on disk", run: func(r *repo) result {
			r.write("agent/agents/one.afs", "id: one\n")
			r.git("add", "agent/agents")
			r.save("agent")
			r.refer(file, "NEW")
			r.refer("agent/agents/one.afs", "LATER")
			return r.try("commit", "-qm", "x", file)
		}, commit: "NEW=\nOLD=\n", disk: "LATER=\nNEW=\nOLD=\n", status: " M agent/agents/one.afs\n M agent/secrets"},
		{name: "PATH, more staged", run: func(r *repo) result {
			r.write("agent/agents/one.afs", "id: one\n")
			r.git("add", "agent/agents")
			r.save("agent")
			r.refer(file, "NEW")
			r.refer("agent/agents/one.afs", "LATER")
			r.git("add", "agent/agents")
			return r.try("commit", "-qm", "x", file)
		}, commit: "NEW=\nOLD=\n", disk: "LATER=\nNEW=\nOLD=\n", status: "M  agent/agents/one.afs\n M agent/secrets"},
		{name: "PATH is the template itself", run: func(r *repo) result {
			r.refer(file, "NEW")
			r.write(template, "# mine\nOLD=\n")
			return r.try("commit", "-qm", "x", template)
		}, commit: "# mine\nOLD=\n", disk: "# mine\nNEW=\nOLD=\n", status: " M agent/formation.afs\n M agent/secrets"},
		{name: "other unstaged work stays", run: func(r *repo) result {
			r.refer(file, "NEW")
			r.git("add", file)
			r.write("other.txt", "changed\n")
			r.write("staged.txt", "half\n")
			r.git("add", "staged.txt")
			r.write("staged.txt", "half and more\n")
			return r.try("commit", "-qm", "x", "--", file)
		}, commit: "NEW=\nOLD=\n", status: " M other.txt\nAM staged.txt"},
		{name: "comments on both sides", run: func(r *repo) result {
			r.refer(file, "NEW")
			r.git("add", file)
			r.stage(template, "# staged\nOLD=sk-...\n")
			r.write(template, "# on disk\nOLD=sk-...\n")
			return r.try("commit", "-qm", "x")
		}, commit: "# staged\nNEW=\nOLD=sk-...\n", disk: "# on disk\nNEW=\nOLD=sk-...\n", status: " M agent/secrets"},
		{name: "stopped by a leak", stops: true, run: func(r *repo) result {
			r.refer(file, "NEW")
			r.stage("notes.txt", leak)
			return r.try("commit", "-qam", "x")
		}, commit: "OLD=\n", status: " M agent/formation.afs\nA  notes.txt"},
		{name: "stopped by a value in the template", stops: true, run: func(r *repo) result {
			r.refer(file, "NEW")
			r.write(template, "OLD=a-real-value-of-mine\n")
			return r.try("commit", "-qam", "x")
		}, commit: "OLD=\n", index: "OLD=\n", disk: "OLD=a-real-value-of-mine\n", status: " M agent/formation.afs\n M agent/secrets"},
		{name: "the last name goes", run: func(r *repo) result {
			r.mustMuxi("delete", "OLD", "--force")
			r.write(template, "OLD=\n")
			r.write(file, "id: agent\n")
			return r.try("commit", "-qam", "x")
		}, commit: "(none)", disk: "(none)"},
		{name: "the last name goes, PATH", run: func(r *repo) result {
			r.mustMuxi("delete", "OLD", "--force")
			r.write(template, "OLD=\n")
			r.write(file, "id: agent\n")
			return r.try("commit", "-qm", "x", "agent/secrets.enc", file)
		}, commit: "(none)", disk: "(none)"},
		{name: "untracked", run: func(r *repo) result {
			r.git("rm", "-q", "--cached", template)
			r.save("untracked")
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "deleted on disk", run: func(r *repo) result {
			r.refer(file, "NEW")
			r.remove(template)
			return r.try("commit", "-qm", "x", file)
		}, commit: "NEW=\nOLD=\n"},
		{name: "deleted in the commit", run: func(r *repo) result {
			r.git("rm", "-q", template)
			return r.try("commit", "-qm", "x", "--allow-empty")
		}, commit: "OLD=\n"},
		{name: "ignored, not tracked", run: func(r *repo) result {
			r.git("rm", "-q", "--cached", template)
			r.stage(".gitignore", "secrets\n")
			r.save("ignored")
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "(none)", disk: "NEW=\nOLD=\n"},
		{name: "ignored and tracked", run: func(r *repo) result {
			r.stage(".gitignore", "secrets\n")
			r.save("ignored")
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "outside of a sparse checkout", run: func(r *repo) result {
			r.git("sparse-checkout", "set", "--cone", "elsewhere")
			r.write(file, "id: agent\nnew: ${{ secrets.NEW }}\n")
			r.git("add", "--sparse", file)
			r.remove(file)
			return r.try("commit", "-qm", "x")
		}, commit: "NEW=\nOLD=\n", disk: "(none)", status: " D agent/formation.afs"},
		{name: "without the key", run: func(r *repo) result {
			r.remove("agent/.key")
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "without the key, reference gone", run: func(r *repo) result {
			r.remove("agent/.key")
			r.write(file, "id: agent\n")
			return r.try("commit", "-qam", "x")
		}, commit: "OLD=\n"},
		{name: "CRLF by attribute", run: func(r *repo) result {
			r.stage(".gitattributes", "* text eol=crlf\n")
			r.save("attributes")
			r.remove(template)
			r.git("checkout", "-q", "--", template)
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n", disk: "NEW=\r\nOLD=\r\n"},
		{name: "an executable template", run: func(r *repo) result {
			must(r, os.Chmod(r.path(template), 0o755))
			r.git("add", template)
			r.save("executable")
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n"},
		{name: "a link for a template", run: func(r *repo) result {
			must(r, os.Rename(r.path(template), r.path("agent/names")))
			must(r, os.Symlink("names", r.path(template)))
			r.git("add", "agent")
			r.save("link")
			r.refer(file, "NEW")
			return r.try("commit", "-qam", "x")
		}, commit: "names", disk: "NEW=\nOLD=\n", status: " M agent/names"},
		{name: "linked worktree without a key", run: func(r *repo) result {
			r.git("worktree", "add", "-q", "../linked")
			linked := r.at("../linked")
			linked.refer(file, "NEW")
			res := linked.try("commit", "-qam", "x")
			if got := linked.read(template); got != "NEW=\nOLD=\n" {
				r.Errorf("on disk %q", got)
			}
			if got := linked.git("status", "--short"); got != "" {
				r.Errorf("status %q", got)
			}
			r.git("merge", "-q", "linked")
			return res
		}, commit: "NEW=\nOLD=\n"},
		{name: "merge by git itself", run: func(r *repo) result {
			r.git("checkout", "-qb", "side")
			r.refer(file, "NEW")
			r.git("add", file)
			r.save("side")
			r.git("checkout", "-q", "main")
			r.stage("main.txt", "main\n")
			r.save("main")
			res := r.try("merge", "-q", "side", "-m", "x")
			if res.code != 0 {
				r.Log(res.err)
				res = r.try("commit", "-qm", "x")
			}
			return res
		}, commit: "NEW=\nOLD=\n"},
		{name: "nothing to do", run: func(r *repo) result {
			r.write(file, r.read(file)+"# more\n")
			return r.try("commit", "-qam", "x")
		}, commit: "OLD=\n"},
		{name: "broken YAML keeps its names", run: func(r *repo) result {
			r.write(file, "a: [\n\tb: ${{ secrets.NEW }}\n")
			return r.try("commit", "-qam", "x")
		}, commit: "NEW=\nOLD=\n"},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.write("other.txt", "other\n")
			r.formation("agent", "OLD=hunter2-hunter2")
			r.mustMuxi("hooks", "install")
			res := tt.run(r)
			if committed := r.git("log", "-1", "--format=%s") == "x"; committed == tt.stops {
				t.Fatalf("committed: %v, exit %d\n%s%s", committed, res.code, res.out, res.err)
			}
			if tt.index == "" {
				tt.index = tt.commit
			}
			if tt.disk == "" {
				tt.disk = tt.index
			}
			disk := "(none)"
			if content, err := os.ReadFile(r.path(template)); err == nil {
				disk = string(content)
			}
			for _, at := range []struct{ name, got, want string }{
				{"HEAD", r.show("HEAD", template), tt.commit},
				{"the index", r.show("", template), tt.index},
				{"on disk", disk, tt.disk},
				{"status", r.git("status", "--short"), tt.status},
			} {
				if at.got != at.want {
					t.Errorf("%s: %q, want %q", at.name, at.got, at.want)
				}
			}
			if t.Failed() {
				t.Logf("it said\n%s%s", res.out, res.err)
			}
			r.git("fsck", "--strict")
		})
	}
}

// Only the formations that a commit touches are looked at.
func TestHookLeavesOtherFormations(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("one", "ONE=hunter2-hunter2")
	r.formation("two", "TWO=other-other-2")
	r.formation("two/inner", "INNER=third-third-3")
	r.mustMuxi("hooks", "install")
	r.refer("one/formation.afs", "MORE")
	r.refer("two/formation.afs", "MORE")
	r.refer("two/inner/formation.afs", "MORE")
	r.git("commit", "-qm", "x", "two/formation.afs")
	for path, want := range map[string]string{"one/secrets": "ONE=\n", "two/secrets": "MORE=\nTWO=\n", "two/inner/secrets": "INNER=\n"} {
		if got := r.read(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
		if got := r.show("HEAD", path); got != want {
			t.Errorf("%s is committed as %q, want %q", path, got, want)
		}
	}
	if got := r.git("status", "--short"); got != " M one/formation.afs\n M two/inner/formation.afs" {
		t.Errorf("status\n%s", got)
	}
}

// A partial clone whose sparse checkout lacks part of a formation: what is
// committed is judged, nothing is fetched, and the template stays.
func TestHookInPartialSparseClone(t *testing.T) {
	sideBySide(t)
	up := newRepo(t)
	up.write("agent/mcp/old.afs", "id: old\nx: ${{ secrets.OLD }}\n")
	up.write("agent/agents/one.afs", "id: one\n")
	up.formation("agent", "TOKEN=hunter2-hunter2")
	up.git("config", "uploadpack.allowFilter", "true")
	up.git("clone", "-q", "--filter=blob:none", "--sparse", "file://"+up.dir, "../clone")
	r := up.at("../clone")
	r.git("sparse-checkout", "set", "agent/agents")
	r.mustMuxi("hooks", "install")
	up.remove(".git")
	template := r.read("agent/secrets")
	r.refer("agent/agents/one.afs", "NEW")
	res := r.try("commit", "-qam", "x")
	if res.code != 0 || !strings.Contains(res.err, "agent/secrets") || !strings.Contains(res.err, "partial clone") {
		t.Errorf("exit %d\n%s", res.code, res.err)
	}
	if got := r.read("agent/secrets"); got != template {
		t.Errorf("the template is %q", got)
	}
	r.stage("agent/agents/one.afs", leak)
	if res := r.try("commit", "-qam", "x"); res.code == 0 || !strings.Contains(res.err, "[plaintext-key]") {
		t.Errorf("a leak: exit %d\n%s", res.code, res.err)
	}
}
