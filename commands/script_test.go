//go:build unix

package commands_test

import (
	"context"
	"flag"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/internal/ramdisk"
)

// TestMain lets the test binary stand in for git-muxi-secrets: testscript puts
// it on PATH under that name, so that `git muxi-secrets` finds it as well.
func TestMain(m *testing.M) {
	// A hook that tests installed falls back to the program that installed it,
	// which is this one.
	if len(os.Args) > 1 && os.Args[1] == "hook-run" {
		standIn()
	}
	cli.HelpFlag = ownHelp{cli.HelpFlag.(*cli.BoolFlag)}
	testscript.Main(detached{m}, map[string]func(){
		"git-muxi-secrets": standIn,
		"no-terminal":      noTerminal,
		"on-terminal":      onTerminal,
		"unprivileged":     unprivileged,
	})
}

// detached runs the tests without the terminal that somebody may have started them
// from: no program that they run may ask there.
type detached struct{ m *testing.M }

func (d detached) Run() int {
	syscall.Setsid() // fails for the leader of a group, which go test makes none of us
	code := ramdisk.Tests{M: d.m}.Run()
	if sharedHome != "" {
		os.RemoveAll(sharedHome)
	}
	return code
}

func standIn() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	env := commands.System()
	env.Files.Fault = faultFromEnv()
	code := commands.Run(ctx, env, os.Args)
	stop()
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	t.Setenv("GOTMPDIR", t.TempDir()) // the folders of all scripts go with it
	testscript.Run(t, testscript.Params{
		Files:               scripts(t),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               isolate,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"muxi-read":  muxiRead,
			"muxi-write": muxiWrite,
			"example":    example,
			"mode":       mode,
			"code":       code,
			"snapshot":   snapshot,
			"unchanged":  unchanged,
			"pipe":       pipe,
		},
	})
}

// scripts are the files of TestScripts: with -short one of each command, the first,
// unless -run names others.
func scripts(t *testing.T) []string {
	all, err := filepath.Glob(filepath.Join("..", "testdata", "script", "*.txtar"))
	must(t, err)
	if len(all) == 0 {
		t.Fatal("no scripts")
	}
	if !testing.Short() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return all
	}

	chosen := map[string]string{} // by command
	for _, file := range all {
		command, about, _ := strings.Cut(filepath.Base(file), "_")
		if chosen[command] == "" || about == "first.txtar" {
			chosen[command] = file
		}
	}
	return slices.Sorted(maps.Values(chosen))
}

// isolate keeps the machine's own git settings and identity out of a script, and
// what the script lays beside $WORK out of the others'.
func isolate(env *testscript.Env) error {
	work := filepath.Join(env.WorkDir, "work")
	entries, err := os.ReadDir(env.WorkDir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(env.WorkDir, entry.Name()), filepath.Join(work, entry.Name())); err != nil {
			return err
		}
	}
	settings, err := gittest.Settings(filepath.Join(work, ".home"))
	if err != nil {
		return err
	}

	env.Vars = append(gittest.Strip(env.Vars), settings...)
	env.Cd = work
	env.Setenv("WORK", work)
	env.Setenv("TMPDIR", filepath.Join(work, ".tmp"))
	env.Setenv("GIT_CEILING_DIRECTORIES", env.WorkDir)
	examples, err := filepath.Abs(filepath.Join("..", "testdata", "formations"))
	env.Setenv("EXAMPLES", examples)
	env.Setenv("MESSY", filepath.Join(filepath.Dir(examples), "messy"))
	env.Values[snapshotKey{}] = new(map[string]string)
	return err
}

func condition(cond string) (bool, error) {
	switch cond {
	case "root":
		return os.Getuid() == 0, nil
	case "python": // with cryptography; where CI=true its absence fails the script
		return cryptotest.Available() || os.Getenv("CI") == "true", nil
	case "age", "ssh-keygen", "man", "git-crypt": // where CI=true its absence fails the script
		_, err := exec.LookPath(cond)
		return err == nil || os.Getenv("CI") == "true", nil
	}
	return false, nil
}

// muxiRead checks that the MUXI runtime's way of reading DIR gives NAME exactly
// the bytes of FILE: muxi-read DIR NAME FILE. With ! it must fail to read.
func muxiRead(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 && !(neg && len(args) == 1) {
		ts.Fatalf("usage: muxi-read DIR NAME FILE, or ! muxi-read DIR")
	}
	oracle := cryptotest.Python(tOf(ts))
	secrets, class := oracle.ReadFormation(tOf(ts), ts.MkAbs(args[0]))
	if neg {
		if class == "" {
			ts.Fatalf("the runtime reads %s", args[0])
		}
		return
	}
	if class != "" {
		ts.Fatalf("the runtime cannot read %s: %s", args[0], class)
	}
	value, ok := secrets[args[1]]
	if !ok {
		ts.Fatalf("the runtime finds no %s", args[1])
	}
	if value != ts.ReadFile(args[2]) {
		ts.Fatalf("the runtime reads another value of %s than %s holds", args[1], args[2])
	}
}

// muxiWrite has Python write DIR's .key and secrets.enc as the MUXI runtime
// does: muxi-write DIR NAME FILE [NAME FILE...].
func muxiWrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: muxi-write DIR NAME FILE [NAME FILE...]")
	}
	secrets := map[string]string{}
	for i := 1; i < len(args); i += 2 {
		secrets[args[i]] = ts.ReadFile(args[i+1])
	}
	cryptotest.Python(tOf(ts)).WriteFormation(tOf(ts), ts.MkAbs(args[0]), nil, secrets)
}

// example copies one of MUXI's example formations: example NUMBER-NAME DIR.
func example(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: example NAME DIR")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(filepath.Join(ts.Getenv("EXAMPLES"), args[0]))))
}

// mode checks a file's permissions: mode 0600 FILE.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := "0" + strings.TrimPrefix(info.Mode().Perm().String(), "-"); (octal(info.Mode().Perm()) == args[0]) == neg {
		ts.Fatalf("mode of %s is %s (%s)", args[1], octal(info.Mode().Perm()), got)
	}
}
