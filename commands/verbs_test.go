//go:build unix

package commands_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// code runs a program that must end with exactly this exit code: code N
// PROGRAM [ARGS...]. Like exec, it takes what stdin and ttyin prepared.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// snapshotKey is where a script keeps what snapshot saw.
type snapshotKey struct{}

// snapshot remembers every file below DIR, for unchanged: its bytes, mode,
// link target and the time it was last written.
func snapshot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: snapshot DIR")
	}
	*ts.Value(snapshotKey{}).(*map[string]string) = treeOf(ts, args[0])
}

// unchanged checks that DIR is as the last snapshot found it, the lock (which
// every writer takes, and which lies in .git or the cache) left out.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unchanged DIR")
	}
	before, after := *ts.Value(snapshotKey{}).(*map[string]string), treeOf(ts, args[0])
	if before == nil {
		ts.Fatalf("unchanged without a snapshot")
	}
	var differences []string
	for path, was := range before {
		if is, there := after[path]; !there {
			differences = append(differences, "gone: "+path)
		} else if is != was {
			differences = append(differences, fmt.Sprintf("changed: %s\n  was %s\n  is  %s", path, was, is))
		}
	}
	for path := range after {
		if _, there := before[path]; !there {
			differences = append(differences, "new: "+path)
		}
	}
	if len(differences) > 0 {
		sort.Strings(differences)
		ts.Fatalf("%s", strings.Join(differences, "\n"))
	}
}

// treeOf describes every file below dir by its path. Of folders only their
// being there counts: a temp file that came and went leaves a mark on them.
func treeOf(ts *testscript.TestScript, dir string) map[string]string {
	root := ts.MkAbs(dir)
	tree := map[string]string{}
	ts.Check(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(name, "muxi-secrets/lock"), strings.Contains(name, "muxi-secrets/locks/"):
		case entry.IsDir():
			tree[name] = info.Mode().String()
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			tree[name] = "link to " + link
			return err
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			tree[name] = fmt.Sprintf("%s %s %x", info.Mode(), info.ModTime().Format("15:04:05.000000000"), sha256.Sum256(content))
			return err
		default:
			tree[name] = info.Mode().String()
		}
		return nil
	}))
	return tree
}

// pipe makes a named pipe.
func pipe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pipe FILE")
	}
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// noTerminal is the program no-terminal: it runs another one without a
// terminal to ask on, wherever the tests are started from.
func noTerminal() { become(func() error { _, err := syscall.Setsid(); return err }) }

// unprivileged is the program of that name: it runs another one so that file
// modes count, as they do not for root.
func unprivileged() {
	become(func() error {
		if os.Getuid() != 0 {
			return nil
		}
		return obeyModes()
	})
}

// become prepares this process and then turns it into the program that its
// arguments name.
func become(prepare func() error) {
	fail := func(err error) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(125)
	}
	if len(os.Args) < 2 {
		fail(errors.New("which program?"))
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		fail(err)
	}
	if err := prepare(); err != nil {
		fail(err)
	}
	fail(syscall.Exec(path, os.Args[1:], os.Environ()))
}
