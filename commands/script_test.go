//go:build unix

package commands_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muxi-ai/git-muxi-secrets/commands"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

// TestMain lets the test binary stand in for git-muxi-secrets: testscript puts
// it on PATH under that name, so that `git muxi-secrets` finds it as well.
func TestMain(m *testing.M) {
	// A hook that tests installed falls back to the program that installed it,
	// which is this one.
	if len(os.Args) > 1 && os.Args[1] == "hook-run" {
		standIn()
	}
	testscript.Main(m, map[string]func(){
		"git-muxi-secrets": standIn,
		"no-terminal":      noTerminal,
		"on-terminal":      onTerminal,
		"unprivileged":     unprivileged,
	})
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
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "testdata", "script"),
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

// isolate keeps the machine's own git settings and identity out of a script.
func isolate(env *testscript.Env) error {
	kept := env.Vars[:0]
	for _, entry := range env.Vars {
		if !strings.HasPrefix(entry, "GIT_") {
			kept = append(kept, entry)
		}
	}
	env.Vars = kept
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	config := "[user]\n\tname = Test\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
	if err := os.WriteFile(filepath.Join(home, "gitconfig"), []byte(config), 0o644); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each command takes a second longer to end
	env.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, "gitconfig"))
	env.Setenv("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
	env.Setenv("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
	env.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(env.WorkDir))
	examples, err := filepath.Abs(filepath.Join("..", "testdata", "formations"))
	env.Setenv("EXAMPLES", examples)
	env.Values[snapshotKey{}] = new(map[string]string)
	return err
}

func condition(cond string) (bool, error) {
	switch cond {
	case "root":
		return os.Getuid() == 0, nil
	case "python": // with cryptography; where CI=true its absence fails the script
		return cryptotest.Available() || os.Getenv("CI") == "true", nil
	case "age", "ssh-keygen", "man": // where CI=true its absence fails the script
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
