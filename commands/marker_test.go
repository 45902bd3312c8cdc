//go:build unix

package commands_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/commands"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// The markers are values that occur nowhere else: stored ones, ones on their
// way in, and ones that went astray into files or arguments.
var (
	storedMarker = "Qz7vXk2LmW9pRt4YhB6nJd0cFs5g"
	prefixMarker = "sk-proj-" + "Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g"
	newMarker    = "Gw5hUe2RkN8tYb4XzD7mCq1vLa6p"
	strayMarker  = "Jx9sPf3OiB6yWc2TnV5kEh8rMd1u"
)

// watched returns pieces of every marker and of the key: no output may hold
// one. Of any 11 characters in a row, a piece is part.
func watched(key string) []string {
	var pieces []string
	for _, secret := range []string{storedMarker, strings.TrimPrefix(prefixMarker, "sk-proj-"), newMarker, strayMarker, key} {
		for at := 0; at+8 <= len(secret); at += 4 {
			pieces = append(pieces, strings.ToLower(secret[at:at+8]))
		}
	}
	return pieces
}

// reveals reports whether text holds a piece; case does not hide one.
func reveals(text string, pieces []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(pieces, func(piece string) bool { return strings.Contains(text, piece) })
}

// mayPrint are the commands whose standard output is the values.
func mayPrint(args []string) bool {
	return slices.Contains(args, "get") || slices.Contains(args, "export") || slices.Contains(args, "--reveal")
}

// spyGit puts a git first on PATH that writes down its arguments, its
// environment and those of the process that started it, and returns the file.
func spyGit(t *testing.T) string {
	t.Helper()
	git, err := exec.LookPath("git")
	must(t, err)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ >>'%s' 2>/dev/null\nexec '%s' \"$@\"\n", log, git)
	must(t, os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755))
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return log
}

// arguments are sensible ones for a command, by its usage line.
func arguments(d commands.Described) []string {
	var list []string
	for _, name := range d.Arguments {
		switch name {
		case "NAME", "NAME...":
			list = append(list, "STORED")
		case "OLD":
			list = append(list, "STORED")
		case "NEW":
			list = append(list, "RENAMED")
		case "FILE|-":
			list = append(list, "-")
		case "FILE":
			list = append(list, "formation.afs")
		case "HOOK":
			list = append(list, "pre-commit")
		}
	}
	return list
}

// lines are the command lines to try a command with; more of them where
// nothing is wrong with the formation.
func lines(d commands.Described, thorough bool) [][]string {
	base := append(slices.Clone(d.Words), arguments(d)...)
	with := func(more ...string) []string { return append(slices.Clone(base), more...) }
	all := [][]string{base}
	if slices.Contains(d.Booleans, "json") {
		all = append(all, with("--json"))
	}
	if d.Words[0] == "add" || d.Words[0] == "check" {
		all = append(all, with("--stdin"))
	}
	if !thorough {
		return all
	}
	all = append(all,
		d.Words, with("-h"), with("-q"), with(strayMarker), with(strayMarker, strayMarker), with("--"+strayMarker),
		with("--unknown="+strayMarker), with("-"+strayMarker), with("-x", strayMarker), with("--", strayMarker),
		with("STORED="+strayMarker), append(slices.Clone(d.Words), "STORED="+strayMarker), with("-C", "../elsewhere"))
	if name := strings.Join(d.Words, " "); name == "share remove" || name == "diff" {
		// A person's name and a revision are repeated: which one was not found?
		all = slices.DeleteFunc(all, func(args []string) bool {
			return slices.Contains(args, strayMarker) || slices.Contains(args, "STORED="+strayMarker)
		})
	}
	for _, flag := range d.Booleans {
		all = append(all, with("--"+flag), with("--"+flag+"="+strayMarker))
	}
	for _, flag := range d.Valued {
		all = append(all, with("--"+flag))
		switch flag {
		case "format", "generate": // the others name files, which messages may repeat
			all = append(all, with("--"+flag, strayMarker), with("--"+flag+"="+strayMarker))
		}
	}
	return all
}

// special are command lines that no usage line tells.
func special() []line {
	return []line{
		{args: []string{"hook-run", "post-merge", "0"}}, {args: []string{"hook-run", "post-merge", strayMarker}},
		{args: []string{"--" + strayMarker}}, {args: []string{strayMarker}}, {args: []string{"-h", strayMarker}},
		{args: []string{"-" + strayMarker, "list"}}, {args: []string{"help", strayMarker}}, {args: []string{"--version"}}, {},
		{stdin: newMarker + "\xff", args: []string{"add", "STORED", "--stdin"}},
		{stdin: newMarker, args: []string{"add", "STORED", "--stdin", "--if-missing"}},
		{stdin: newMarker, args: []string{"add", "--stdin", "--from-file", "x", "STORED"}},
		{stdin: newMarker + `\d`, args: []string{"add", "STORED", "--stdin"}},
		{stdin: "A=" + newMarker + "\nB\\=" + newMarker + "\n", args: []string{"import", "-", "--overwrite"}},
		{stdin: "STORED=" + newMarker + "\n", args: []string{"import", "-", "--dry-run"}},
		{stdin: "STORED=" + newMarker + "\n", args: []string{"import", "--overwrite", "-"}},
		{stdin: "A=1\n" + newMarker + "\n", args: []string{"import", "-"}},
		{stdin: "A=\"" + newMarker + "\n", args: []string{"import", "-"}},
		{stdin: "A='b'" + newMarker + "\n", args: []string{"import", "-"}},
		{stdin: "\xff" + newMarker, args: []string{"import", "-"}},
		{stdin: "{\"A\": \"" + newMarker + "\"}", args: []string{"import", "-"}}, {stdin: "{\"A\": [\"" + newMarker + "\"]}", args: []string{"import", "-"}},
		{stdin: "A=encrypted:" + newMarker, args: []string{"import", "-"}}, {stdin: "A=\"${" + newMarker + "}\"\nA=2\n", args: []string{"import", "-"}},
		{stdin: newMarker, args: []string{"add", "STORED", "--stdin", "--all"}}, {stdin: newMarker, args: []string{"add", "STORED", "--stdin", "--to", ".", "--to", "../second"}},
		{stdin: "'" + newMarker + "'\n", args: []string{"add", "ANTHROPIC_KEY", "--stdin"}}, {stdin: "sk-proj-" + newMarker, args: []string{"add", "ANTHROPIC_KEY", "--stdin"}},
		{args: []string{"copy", "STORED", "--to", "../second", "--to", "../second"}}, {stdin: newMarker, args: []string{"share", "add", "-"}}, {args: []string{"setup", "--all"}},
		{args: []string{"import", "secrets.enc"}}, {args: []string{"import", ".key"}}, {args: []string{"import", "formation.afs"}},
		{args: []string{"render", "agents/extra.afs"}}, {args: []string{"render", "--reveal", "agents/extra.afs"}},
		{args: []string{"render", ".key"}}, {args: []string{"render", "secrets.enc"}},
		{args: []string{"export", "--output", "secrets"}}, {args: []string{"export", "--output", "values.env"}},
		{args: []string{"scrub", "--dry-run"}}, {args: []string{"scrub"}}, {args: []string{"scrub", "--base", "nowhere"}},
		{args: []string{"extract", "--dry-run"}}, {args: []string{"extract", "--yes"}}, {args: []string{"extract", "--yes", "agents/extra.afs"}},
		{args: []string{"export", "--format", "json"}}, {args: []string{"delete", "STORED", "--force"}},
		{args: []string{"copy", "STORED", "--to", "../second"}}, {args: []string{"copy", "STORED", "--to", "../second", "--overwrite"}},
		{args: []string{"-C", "../second", "copy", "STORED", "--to", ".", "--overwrite"}}, {args: []string{"copy", strayMarker + "=x", "--to", "../second"}},
		{args: []string{"rotate", "--all"}}, {args: []string{"convert", "--to", "age"}}, {args: []string{"convert", "--to", strayMarker}},
		{args: []string{"share", "add", markerRecipient}}, {args: []string{"share", "add", "AGE-SECRET-KEY-1" + strayMarker}}, {args: []string{"share", "add", strayMarker}},
		{args: []string{"share", "add", "ssh-ed25519", strayMarker}}, {args: []string{"share", "add", "../own.txt"}}, {args: []string{"share", "add", ".key"}},
		{args: []string{"share", "add", "notes.txt"}}, {args: []string{"share", "remove", "Own"}}, {args: []string{"share", "remove", "AGE-SECRET-KEY-1" + strayMarker}},
		{args: []string{"share", "wrap", "--all"}}, {args: []string{"unlock", "--all"}}, {args: []string{"unlock", "-i", ".key"}}, {args: []string{"unlock", "-i", "secrets.enc"}},
		{args: []string{"unlock", "-i", "notes.txt"}}, {args: []string{"unlock", "-i", "../own.txt"}},
		{args: []string{"key", "export", "--to", markerRecipient}}, {args: []string{"key", "export", "--to", "../own.txt"}}, {args: []string{"key", "export", "--to", ".key"}},
		{args: []string{"key", "export", "--to", "AGE-SECRET-KEY-1" + strayMarker}}, {args: []string{"key", "export", "--passphrase"}},
		{stdin: newMarker, args: []string{"key", "import", "-"}}, {stdin: "AGE-SECRET-KEY-1" + newMarker, args: []string{"key", "import", "-"}},
		{args: []string{"key", "import", strayMarker}}, {args: []string{"key", "import", ".key"}}, {args: []string{"key", "import", "-" + strayMarker}},
		{args: []string{"key", "import", "notes.txt"}}, {args: []string{"key", "import", ".key.age"}}, {args: []string{"key", strayMarker}}, {args: []string{"share", strayMarker}},
		{args: []string{"restore", "STORED", "NEVER", "--rev", "HEAD"}}, {args: []string{"restore", "STORED", "--rev", "HEAD"}},
		{args: []string{"get", "NEVER", "--rev", "HEAD"}}, {args: []string{"key", "pull"}}, {args: []string{"key", "push"}}, {args: []string{"status", "--all"}},
	}
}

// keyShaped are command lines with a key where something else is expected, which no
// message repeats, nor git's arguments.
func keyShaped() (list []line) {
	for _, key := range []string{"AGE-SECRET-KEY-1" + strings.ToUpper(strayMarker) + "QQQQQQQQQQQQQQQQQQQQQQQQQQ", "ghp_" + strayMarker + "Ab1Cd2Ef", "sk-proj-" + strayMarker} {
		for _, words := range []string{"unlock -i", "key import -i", "key import", "import", "get", "delete", "rename STORED", "rename", "copy", "log", "restore",
			"resolve", "render", "extract", "diff", "add", "add NEW --from-file", "get STORED --rev", "restore STORED --rev", "check --base", "check --range",
			"check --baseline", "check --output", "export --output", "copy STORED --to", "add NEW --stdin --to", "share remove", "share add", "share add --name",
			"key export --to", "-C", "list -C", "scrub --base", "man", "help", "completion", "hooks", "unlock --accept", ""} {
			list = append(list, line{stdin: newMarker, args: append(strings.Fields(words), key)})
		}
		list = append(list, line{args: []string{"rename", key, "NEW"}}, line{args: []string{"copy", key, "--to", "../second"}},
			line{args: []string{"-C", key, "list"}}, line{args: []string{"-C" + key, "list"}}, line{args: []string{"import", "./" + key + ".env"}},
			line{args: []string{"add", key, "--stdin"}, stdin: newMarker}, line{args: []string{"import", "-"}, stdin: key + "=x\n"},
			line{args: []string{"import", "-"}, stdin: `{"` + key + `": "x"}`})
	}
	return list
}

// markerRecipient is somebody's public key, whose private key nobody has.
const markerRecipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

// TestNoValueAnywhere stores markers, runs every command in every mode, whole
// and damaged, and searches all that is printed and all that any child is
// given.
func TestNoValueAnywhere(t *testing.T) {
	isolateProcess(t)
	log := spyGit(t)
	t.Setenv("GIT_MUXI_SECRETS_TRACE", "1") // which says a lot, and no value
	t.Setenv("GIT_EDITOR", editorScript(t, "printf 'FRESH=%s\\nBROKEN="+strayMarker+"\\n%s' "+newMarker+" \"$(grep -v PREFIXED \"$1\")\" >\"$1\"\n"))
	b := newSandbox(t, agentExample, true)
	b.write("agents/extra.afs", "a: ${{ secrets.STORED }}\nb: 'x ${{ secrets.PREFIXED }}'\n")
	b.do(storedMarker, "add", "STORED", "--stdin")
	b.do(prefixMarker, "add", "PREFIXED", "--stdin")
	must(t, os.CopyFS(filepath.Join(b.top, "second"), os.DirFS(filepath.Join("..", "testdata", "formations", simpleExample))))
	b.do("", "-C", "../second", "init")
	b.do("", "share", "add", "--all", ownIdentity(t), "--name", "Own")
	usual, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), ".config", "age", "keys.txt"))
	must(t, err)
	b.write("../own.txt", string(usual))
	// The commands of git's configuration get the key on a stream, and nothing else.
	keepKey := func(b *sandbox) {
		kept := filepath.Join(b.TempDir(), "kept")
		b.git("config", "muxi-secrets.keyPushCommand", "cat >'"+kept+"'")
		b.git("config", "muxi-secrets.keyPullCommand", "cat '"+kept+"'")
		b.do("", "key", "push")
	}
	keepKey(b)
	b.git("add", "-A")
	b.git("commit", "-qm", "first", "--no-verify")
	whole := b.tree()
	key, vault := b.read(".key"), b.read("secrets.enc")
	second, err := os.ReadFile(filepath.Join(b.top, "second", ".key"))
	must(t, err)
	// An age key's first characters stand in messages that say what one looks like.
	pieces := append(watched(key), watched(string(second))...)
	pieces = append(pieces, watched(strings.TrimPrefix(strings.TrimSpace(string(usual)), "AGE-SECRET-KEY-1"))...)

	check := func(t *testing.T, what string, args []string, r result) {
		t.Helper()
		args = slices.Clone(args)
		for i, arg := range args {
			if strings.Contains(arg, strayMarker) {
				args[i] = "..."
			}
		}
		shown := strings.Join(args, " ")
		if reveals(r.err, pieces) {
			t.Errorf("%s: %s: stderr holds a value", what, shown)
		}
		// A file's own text is printed by render as it is.
		literal := what == "values in files" && slices.Contains(args, "render")
		if reveals(r.out, pieces) && !mayPrint(args) && !literal {
			t.Errorf("%s: %s: stdout holds a value", what, shown)
		}
		if strings.Contains(r.err, "goroutine ") {
			t.Errorf("%s: %s: it panics", what, shown)
		}
	}

	states := []struct {
		name  string
		spoil func(b *sandbox)
	}{
		{"whole", func(*sandbox) {}},
		{"no key", func(b *sandbox) { must(t, os.Remove(filepath.Join(b.dir, ".key"))) }},
		{"wrong key", func(b *sandbox) { b.write(".key", strings.Repeat("A", 43)+"=") }},
		{"a value as key", func(b *sandbox) { b.write(".key", strayMarker) }},
		{"truncated", func(b *sandbox) { b.write("secrets.enc", vault[:len(vault)-9]) }},
		{"merge markers", func(b *sandbox) {
			b.write("secrets.enc", "<<<<<<< ours\n"+vault+"\n=======\n"+vault+"\n>>>>>>> theirs\n")
		}},
		{"not sealed", func(b *sandbox) { b.write("secrets.enc", `{"STORED": "`+storedMarker+`"}`) }},
		{"empty", func(b *sandbox) { b.write("secrets.enc", "") }},
		{"a private key in the list", func(b *sandbox) {
			b.write(".age-recipients", "# Own\nAGE-SECRET-KEY-1"+strings.ToUpper(strayMarker)+"\n")
		}},
		{"a value in the list", func(b *sandbox) { b.write(".age-recipients", "# "+strayMarker[:6]+"\n"+strayMarker+"\n") }},
		{"another key wrapped", func(b *sandbox) {
			sealed, err := crypto.WrapWithPassphrase([]byte(strayMarker), []byte("x"))
			must(t, err)
			b.write(".key.age", string(sealed))
		}},
		{"wrapped values", func(b *sandbox) {
			key, err := crypto.ParseKey(bytes.TrimSpace(usual))
			must(t, err)
			sealed, err := key.Seal([]byte(strayMarker + "\n" + newMarker))
			must(t, err)
			b.write(".key.age", string(sealed))
		}},
		{"broken YAML", func(b *sandbox) { b.write("agents/extra.afs", "r: ${{ secrets.STORED }}\na: *"+strayMarker+"\n") }},
		{"more broken YAML", func(b *sandbox) {
			b.write("agents/extra.afs", "r: ${{ secrets.STORED }}\nb: ["+strayMarker+"\nc: "+strayMarker+": x")
		}},
		{"values in files", func(b *sandbox) {
			b.write("agents/extra.afs", "llm:\n  api_key: "+prefixMarker+"\nb: '${{ secrets."+strayMarker[:4]+"-x }}'\n")
			b.write("secrets", "STORED="+storedMarker+"\n# "+strayMarker+"\n")
			b.write("notes.txt", "token "+storedMarker+" "+strayMarker+"\n")
		}},
	}
	described := commands.Describe()
	var ran atomic.Int32
	t.Run("states", func(t *testing.T) {
		for _, state := range sample(states) {
			t.Run(state.name, func(t *testing.T) {
				t.Parallel()
				b := b.copied(t)
				b.restore(whole)
				keepKey(b)
				state.spoil(b)
				spoilt := b.tree()
				try := func(l line) {
					ran.Add(1)
					check(t, state.name, l.args, b.call(run{stdin: l.stdin}, l.args...))
					if left := b.leftovers(); len(left) > 0 {
						t.Errorf("%s: left behind: %v", l.args[0], left)
					}
					b.restore(spoilt)
				}
				thorough := state.name == "whole"
				for _, d := range described {
					for _, args := range lines(d, thorough) {
						try(line{stdin: newMarker, args: args})
					}
				}
				for _, l := range special() {
					try(l)
				}
				if thorough {
					for _, l := range keyShaped() {
						try(l)
					}
				}
			})
		}
	})

	// In processes of their own, so that theirs are looked at too.
	for _, d := range described {
		if testing.Short() && d.Words[0] != "status" {
			continue
		}
		for _, args := range lines(d, false) {
			ran.Add(1)
			check(t, "process", args, b.spawn(run{stdin: newMarker}, args...))
			b.restore(whole)
		}
	}
	// What a command made on the way is covered too: its new key is in no file
	// but .key and the keyring.
	b.do("", "rotate")
	b.do("", "share", "remove", "Own")
	made := b.read(".key")
	for path, file := range b.tree() {
		ring := strings.HasPrefix(path, filepath.Join(".git", "muxi-secrets", "keys"))
		if strings.Contains(file.content, made) && filepath.Base(path) != ".key" && !ring {
			t.Errorf("%s holds the key", path)
		}
	}
	b.restore(whole)
	seen, err := os.ReadFile(log)
	must(t, err)
	if reveals(string(seen), pieces) {
		t.Error("a child's arguments or environment hold a value")
	}
	if !strings.Contains(string(seen), "GIT_OPTIONAL_LOCKS=0") || !strings.Contains(string(seen), "git-muxi-secrets\x00") {
		t.Error("the git on PATH was not asked")
	}
	t.Logf("%d runs of %d commands, %d KB from children", ran.Load(), len(described), len(seen)>>10)
}
