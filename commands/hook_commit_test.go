//go:build unix

package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

// commitForm is one way to commit. commit stages content as the version of path
// that the commit takes, puts other wherever else git could look for it, and
// commits.
type commitForm struct {
	name   string
	path   string   // of the file; "notes.txt" if empty
	init   []string // arguments of git init
	setup  func(r *repo) *repo
	commit func(r *repo, path, content, other string) result
	line   string // of the leak; "1" if empty
}

// staged stages content, puts other in the work tree and commits with these
// arguments.
func staged(args ...string) func(*repo, string, string, string) result {
	return func(r *repo, path, content, other string) result {
		r.stage(path, content)
		r.write(path, other)
		return r.try(append([]string{"commit", "-qm", "x"}, args...)...)
	}
}

// indexed stages other, puts content in the work tree and commits with these
// arguments, which make git take it from there.
func indexed(args ...string) func(*repo, string, string, string) result {
	return func(r *repo, path, content, other string) result {
		r.stage(path, other)
		r.write(path, content)
		return r.try(append([]string{"commit", "-qm", "x"}, args...)...)
	}
}

func setting(key, value string) func(*repo) *repo {
	return func(r *repo) *repo { r.git("config", key, value); return nil }
}

func attributes(text string) func(*repo) *repo {
	return func(r *repo) *repo { r.stage(".gitattributes", text); r.save("attributes"); return nil }
}

func commitForms() []commitForm {
	return []commitForm{
		{name: "plain", commit: staged()},
		{name: "-a", commit: indexed("-a")},
		{name: "PATH", commit: indexed("notes.txt")},
		{name: "--only PATH", commit: indexed("--only", "--", "notes.txt")},
		{name: "--include PATH", commit: indexed("--include", "notes.txt")},
		{name: "PATH leaves other staged work", commit: func(r *repo, path, content, other string) result {
			r.stage("other.txt", other)
			return indexed(path)(r, path, content, other)
		}},
		{name: "PATH, a folder", path: "sub/notes.txt", commit: indexed("sub")},
		{name: "PATH, a pattern", path: "sub/notes.txt", commit: indexed("*.txt")},
		{name: "-p", setup: func(r *repo) *repo {
			r.stage("notes.txt", "first\n"+strings.Repeat("between\n", 20)+"last\n")
			r.save("two places")
			return nil
		}, commit: func(r *repo, path, content, other string) result {
			r.write(path, content+strings.Repeat("between\n", 20)+other)
			res := r.run("y\nn\n", "git", "commit", "-qpm", "x")
			res.out = "" // git shows what it asks about
			return res
		}},
		{name: "add -p, then plain", line: "22", setup: func(r *repo) *repo {
			r.stage("notes.txt", "first\n"+strings.Repeat("between\n", 20)+"last\n")
			r.save("two places")
			return nil
		}, commit: func(r *repo, path, content, other string) result {
			r.write(path, other+strings.Repeat("between\n", 20)+content)
			r.run("n\ny\n", "git", "add", "-p")
			return r.try("commit", "-qm", "x")
		}},
		{name: "--amend", commit: staged("--amend")},
		{name: "--amend -a", commit: indexed("--amend", "-a")},
		{name: "--amend PATH", commit: indexed("--amend", "notes.txt")},
		{name: "first", setup: func(r *repo) *repo { r.git("checkout", "-q", "--orphan", "new"); r.git("rm", "-rqf", "."); return nil }, commit: staged()},
		{name: "first, -a", setup: func(r *repo) *repo { r.git("checkout", "-q", "--orphan", "new"); r.git("rm", "-rqf", "."); return nil }, commit: indexed("-a")},
		{name: "merge", commit: func(r *repo, path, content, other string) result {
			r.git("checkout", "-qb", "side")
			r.stage("side.txt", "side\n")
			r.save("side")
			r.git("checkout", "-q", "main")
			r.stage("main.txt", "main\n")
			r.save("main")
			r.git("merge", "-q", "--no-commit", "side")
			return staged()(r, path, content, other)
		}},
		{name: "merge by git itself", commit: func(r *repo, path, content, other string) result {
			r.git("checkout", "-qb", "side")
			r.stage(path, content)
			r.save("side")
			r.git("checkout", "-q", "main")
			r.write("untracked.txt", other)
			return r.try("merge", "-q", "--no-ff", "side", "-m", "x")
		}},
		{name: "merge, conflict settled", commit: func(r *repo, path, content, other string) result {
			r.git("checkout", "-qb", "side")
			r.stage(path, "side\n")
			r.save("side")
			r.git("checkout", "-q", "main")
			r.stage(path, "main\n")
			r.save("main")
			r.try("merge", "-q", "side")
			return staged()(r, path, content, other)
		}},
		{name: "merge --squash", commit: func(r *repo, path, content, other string) result {
			r.git("checkout", "-qb", "side")
			r.stage(path, content)
			r.save("side")
			r.git("checkout", "-q", "main")
			r.git("merge", "-q", "--squash", "side")
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "revert", commit: func(r *repo, path, content, other string) result {
			r.stage(path, content)
			r.save("there")
			r.stage(path, "gone\n")
			r.save("gone")
			r.git("revert", "--no-commit", "HEAD")
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "in a subfolder", path: "a/b c/notes.txt", commit: staged()},
		{name: "run from a subfolder", setup: func(r *repo) *repo {
			r.stage("a/b/in.txt", "in\n")
			r.save("folder")
			return r.at("a/b")
		}, commit: staged()},
		{name: "run from a subfolder, file above", path: "../../notes.txt", setup: func(r *repo) *repo {
			r.stage("a/b/in.txt", "in\n")
			r.save("folder")
			return r.at("a/b")
		}, commit: staged()},
		{name: "run from a subfolder, -a", setup: func(r *repo) *repo {
			r.stage("a/b/in.txt", "in\n")
			r.save("folder")
			return r.at("a/b")
		}, commit: indexed("-a")},
		{name: "-C and --git-dir from elsewhere", commit: func(r *repo, path, content, other string) result {
			r.stage(path, content)
			r.write(path, other)
			return r.at("..").try("--git-dir=repo/.git", "--work-tree=repo", "commit", "-qm", "x")
		}},
		{name: "linked worktree", setup: func(r *repo) *repo { r.git("worktree", "add", "-q", "../linked"); return r.at("../linked") }, commit: staged()},
		{name: "linked worktree, PATH", setup: func(r *repo) *repo { r.git("worktree", "add", "-q", "../linked"); return r.at("../linked") }, commit: indexed("notes.txt")},
		{name: "submodule", setup: inSubmodule, commit: staged()},
		{name: "submodule, -a", setup: inSubmodule, commit: indexed("-a")},
		{name: "split index", setup: func(r *repo) *repo {
			r.git("config", "core.splitIndex", "true")
			r.git("update-index", "--split-index")
			return nil
		}, commit: staged()},
		{name: "index version 4", setup: func(r *repo) *repo { r.git("update-index", "--index-version", "4"); return nil }, commit: staged()},
		{name: "SHA-256", init: []string{"--object-format=sha256"}, commit: staged()},
		{name: "sparse checkout", setup: sparse("in"), path: "in/notes.txt", commit: staged()},
		{name: "sparse checkout, staged outside of it", setup: sparse("in"), path: "out/notes.txt", commit: func(r *repo, path, content, other string) result {
			r.write(path, content)
			r.git("add", "--sparse", path)
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "sparse index", setup: func(r *repo) *repo {
			sparse("in")(r)
			r.git("sparse-checkout", "reapply", "--sparse-index")
			return nil
		}, path: "in/notes.txt", commit: staged()},
		{name: "partial clone", setup: partialClone, commit: staged()},
		{name: "partial clone, amend", setup: partialClone, commit: staged("--amend")},
		{name: "name that git quotes", path: "clé \u4e2d.txt", commit: staged()},
		{name: "name that git quotes, core.quotePath=false", path: "clé.txt", setup: setting("core.quotePath", "false"), commit: staged()},
		{name: "name with newline, tab and quotes", path: "a\nb \t\"c'.txt", commit: staged()},
		{name: "name with spaces at its ends", path: " notes.txt ", commit: staged()},
		{name: "name like an option", path: "-a", commit: staged()},
		{name: "name like a pattern", path: ":(top)*.txt", commit: staged()},
		{name: "name that is no UTF-8", path: "a\xff\xfeb.txt", commit: staged()},
		{name: "rename", commit: func(r *repo, path, content, other string) result {
			r.stage("old.txt", content)
			r.save("before")
			r.git("mv", "old.txt", path)
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "copy", setup: setting("diff.renames", "copies"), commit: func(r *repo, path, content, other string) result {
			r.stage("old.txt", content)
			r.save("before")
			return staged()(r, path, content, other)
		}},
		{name: "mode change", commit: func(r *repo, path, content, other string) result {
			r.stage(path, content)
			r.save("before")
			r.git("update-index", "--chmod=+x", path)
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "symbolic link to a key", path: "link", commit: func(r *repo, path, content, other string) result {
			link := func(target string) {
				r.remove(path)
				must(r, os.Symlink(strings.TrimSuffix(target, "\n"), r.path(path)))
			}
			link(content)
			r.git("add", path)
			link(other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "file becomes a link", path: "link", commit: func(r *repo, path, content, other string) result {
			r.stage(path, "was a file\n")
			r.save("file")
			r.remove(path)
			must(r, os.Symlink(strings.TrimSuffix(content, "\n"), r.path(path)))
			r.git("add", path)
			r.remove(path)
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "link to a folder elsewhere", commit: func(r *repo, path, content, other string) result {
			must(r, os.Symlink(r.path(".."), r.path("out")))
			r.write("../secret.txt", other)
			r.git("add", "out")
			return staged()(r, path, content, other)
		}},
		{name: "color.ui=always", setup: setting("color.ui", "always"), commit: staged()},
		{name: "color.diff=always", setup: setting("color.diff", "always"), commit: staged()},
		{name: "diff.external", setup: setting("diff.external", "/bin/true"), commit: staged()},
		{name: "diff.noprefix and mnemonicPrefix", setup: func(r *repo) *repo {
			r.git("config", "diff.noprefix", "true")
			r.git("config", "diff.mnemonicPrefix", "true")
			r.git("config", "diff.ignoreSubmodules", "all")
			r.git("config", "diff.orderFile", "/dev/null")
			r.git("config", "diff.relative", "true")
			return nil
		}, commit: staged()},
		{name: "core.pager and alias", setup: func(r *repo) *repo {
			r.git("config", "core.pager", "cat >/dev/null")
			r.git("config", "pager.diff-index", "cat >/dev/null")
			r.git("config", "alias.diff-index", "version")
			return nil
		}, commit: staged()},
		{name: "*.afs -diff", setup: attributes("*.afs -diff\n"), path: "agent/x.afs", commit: staged()},
		{name: "binary by attribute", setup: attributes("* binary\n"), commit: staged()},
		{name: "textconv", setup: func(r *repo) *repo { r.git("config", "diff.x.textconv", "true"); return attributes("* diff=x\n")(r) }, commit: staged()},
		{name: "eol=crlf", setup: attributes("* text eol=crlf\n"), commit: staged()},
		{name: "core.autocrlf", setup: setting("core.autocrlf", "true"), commit: staged()},
		{name: "export-ignore and linguist", setup: attributes("* export-ignore linguist-generated\n"), commit: staged()},
		{name: "assume-unchanged elsewhere", commit: func(r *repo, path, content, other string) result {
			r.git("update-index", "--assume-unchanged", "base.txt")
			return staged()(r, path, content, other)
		}},
		{name: "diff --ignore whitespace", setup: setting("core.whitespace", "cr-at-eol"), commit: staged()},
		{name: "beside an intent to add", commit: func(r *repo, path, content, other string) result {
			r.write("intended.txt", other)
			r.git("add", "-N", "intended.txt")
			return staged()(r, path, content, other)
		}},
		{name: "replaced object", commit: func(r *repo, path, content, other string) result {
			r.stage(path, other)
			shown := r.git("rev-parse", ":"+path)
			r.stage(path, content)
			r.git("replace", r.git("rev-parse", ":"+path), shown)
			r.write(path, other)
			return r.try("commit", "-qm", "x")
		}},
		{name: "core.hooksPath in the repository", setup: func(r *repo) *repo {
			inProjectHooks(r)
			return nil
		}, commit: staged()},
		{name: "core.hooksPath, run from a subfolder", setup: func(r *repo) *repo {
			inProjectHooks(r)
			r.stage("a/in.txt", "in\n")
			r.save("folder")
			return r.at("a")
		}, commit: staged()},
	}
}

// inProjectHooks has the project keep its hooks, with our lines in them.
func inProjectHooks(r *repo) {
	r.remove(".git/hooks")
	r.git("config", "core.hooksPath", ".githooks")
	for _, name := range hooks.Names(false) {
		r.hook(".githooks/"+name, "git muxi-secrets hook-run "+name+" \"$@\" || exit $?\n")
	}
	r.mustMuxi("hooks", "status")
}

func inSubmodule(r *repo) *repo {
	r.git("init", "-q", "../upstream")
	up := r.at("../upstream")
	up.stage("up.txt", "up\n")
	up.save("up")
	r.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../upstream", "module")
	r.save("submodule")
	sub := r.at("module")
	sub.mustMuxi("hooks", "install")
	return sub
}

func sparse(folders ...string) func(*repo) *repo {
	return func(r *repo) *repo {
		r.stage("in/a.txt", "in\n")
		r.stage("out/a.txt", "out\n")
		r.save("folders")
		r.git(append([]string{"sparse-checkout", "set", "--cone"}, folders...)...)
		return nil
	}
}

// partialClone is a clone without old blobs: git must not fetch them for us.
func partialClone(r *repo) *repo {
	r.stage("notes.txt", "old\n")
	r.save("old")
	r.stage("notes.txt", "new\n")
	r.save("new")
	r.git("config", "uploadpack.allowFilter", "true")
	r.git("clone", "-q", "--filter=blob:none", "file://"+r.dir, "../partial")
	clone := r.at("../partial")
	r.remove(".git")
	clone.mustMuxi("hooks", "install")
	return clone
}

// What is staged is what is judged, however it is committed: with a leak in the
// commit and none elsewhere it stops, with a leak elsewhere alone it passes.
func TestWhatIsStagedIsJudged(t *testing.T) {
	sideBySide(t)
	for _, form := range sample(commitForms()) {
		if form.path == "" {
			form.path = "notes.txt"
		}
		if form.line == "" {
			form.line = "1"
		}
		for _, leaks := range []bool{true, false} {
			t.Run(form.name+map[bool]string{true: "/leak", false: "/clean"}[leaks], func(t *testing.T) {
				t.Parallel()
				r := newRepo(t, form.init...)
				r.mustMuxi("hooks", "install")
				r.stage("base.txt", "base\n")
				r.save("base")
				if form.setup != nil {
					if other := form.setup(r); other != nil {
						r = other
					}
				}
				content, other := clean, leak
				if leaks {
					content, other = leak, clean
				}
				res := form.commit(r, form.path, content, other)
				said := res.out + res.err
				if strings.Contains(said, strings.TrimSpace(leak)[len("token: "):]) {
					t.Error("the message holds the value")
				}
				committed := r.try("log", "-1", "--format=%s").out == "x\n"
				if committed == leaks {
					t.Fatalf("committed: %v, exit %d\n%s", committed, res.code, said)
				}
				if !leaks {
					if strings.Contains(said, "error") || strings.Contains(said, "warning: ") {
						t.Errorf("a clean commit says\n%s", said)
					}
					return
				}
				if !strings.Contains(said, ":"+form.line+":") || !strings.Contains(said, "[plaintext-key]") || !strings.Contains(said, "--no-verify") {
					t.Errorf("the message lacks place, rule or way out:\n%s", said)
				}
				plain := filepath.Base(form.path)
				if utf8.ValidString(plain) && !strings.ContainsAny(plain, "\n\"") && !strings.Contains(said, plain+":") {
					t.Errorf("the message does not name %q:\n%s", plain, said)
				}
				if !utf8.ValidString(said) || strings.Contains(said, "\t") {
					t.Errorf("the message holds a raw name: %q", said)
				}
			})
		}
	}
}
