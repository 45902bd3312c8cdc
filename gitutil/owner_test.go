package gitutil

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// agreesOnOwner asks git and us whether the repository at a place is read.
func agreesOnOwner(t *testing.T, r *testRepo, name string, want bool) {
	t.Helper()
	git := r.repo().Try("rev-parse", "--git-dir")
	_, err := Discover(r.dir, r.repo().Getenv)
	var dubious *DubiousOwnershipError
	if refused := errors.As(err, &dubious); refused == want || err != nil && !refused {
		t.Errorf("%s: we say %v, want %t", name, err, want)
	}
	if (git.Code == 0) != want {
		t.Errorf("%s: git says %d, want %t\n%s", name, git.Code, want, git.Err)
	}
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if errors.As(err, &dubious) == want {
			t.Errorf("%s: %s: %v", name, backend, err)
		}
		if err == nil {
			repo.Close()
		}
	}
}

// What safe.directory says, in every place that git reads it from and in those
// that it does not.
func TestSafeDirectory(t *testing.T) {
	main := newRepo(t)
	main.write("d/a", "")
	main.commit("x")
	main.git("worktree", "add", "-q", "../linked")
	main.git("init", "-q", "--bare", "../bare.git")
	main.git("config", "safe.directory", "*") // the repository's own word counts for nothing
	other := main.with("GIT_TEST_ASSUME_DIFFERENT_OWNER=1")
	home := main.path("..")
	global := filepath.Join(home, "gitconfig-of-test")
	including := filepath.Join(home, "gitconfig-including")
	other.write(including, "[include]\n\tpath = gitconfig-of-test\n")
	for _, tt := range []struct {
		name, at, config string
		env              []string
		want             bool
	}{
		{"nothing", ".", "", nil, false},
		{"from below", "d", "", nil, false},
		{"linked", "../linked", "", nil, false},
		{"bare", "../bare.git", "", nil, false},
		{"inside .git", ".git", "", nil, false},
		{"global", ".", "[safe]\n\tdirectory = " + main.dir + "\n", nil, true},
		{"global, from below", "d", "[safe]\n\tdirectory = " + main.dir + "\n", nil, true},
		{"global, another", ".", "[safe]\n\tdirectory = " + main.dir + "x\n", nil, false},
		{"the git dir is not its name", ".", "[safe]\n\tdirectory = " + main.path(".git") + "\n", nil, false},
		{"home", ".", "[safe]\n\tdirectory = ~/" + filepath.Base(main.dir) + "\n", nil, true},
		{"relative", ".", "[safe]\n\tdirectory = " + filepath.Base(main.dir) + "\n", nil, false},
		{"all", ".", "[safe]\n\tdirectory = *\n", nil, true},
		{"taken back", ".", "[safe]\n\tdirectory = *\n\tdirectory =\n", nil, false},
		{"given again", ".", "[safe]\n\tdirectory =\n\tdirectory = " + main.dir + "\n", nil, true},
		{"bare, global", "../bare.git", "[safe]\n\tdirectory = " + main.path("../bare.git") + "\n", nil, true},
		{"linked, global", "../linked", "[safe]\n\tdirectory = " + main.path("../linked") + "\n", nil, true},
		{"linked, the main one", "../linked", "[safe]\n\tdirectory = " + main.dir + "\n", nil, false},
		{"environment", ".", "", []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=Safe.Directory", "GIT_CONFIG_VALUE_0=" + main.dir}, true},
		{"git -c", ".", "", []string{"GIT_CONFIG_PARAMETERS='user.name'='it'\\''s' 'safe.directory'='" + main.dir + "'"}, true},
		{"git -c of old", ".", "", []string{"GIT_CONFIG_PARAMETERS='safe.directory=" + main.dir + "'"}, true},
		{"system", ".", "", []string{"GIT_CONFIG_NOSYSTEM=0", "GIT_CONFIG_SYSTEM=" + global + "2"}, true},
		{"included", ".", "[safe]\n\tdirectory = " + main.dir + "\n", []string{"GIT_CONFIG_GLOBAL=" + including}, true},
		{"named by GIT_DIR", "d", "", []string{"GIT_DIR=" + main.path(".git")}, true},
	} {
		other.write(global, tt.config)
		other.write(global+"2", "[safe]\n\tdirectory = "+main.dir+"\n")
		env := append([]string{"GIT_CONFIG_GLOBAL=" + global}, tt.env...)
		agreesOnOwner(t, other.at(tt.at).with(env...), tt.name, tt.want)
	}

	// Git knows this one from 2.46 on.
	other.write(global, "[safe]\n\tdirectory = "+home+"/*\n")
	if _, err := Discover(main.dir, other.with("GIT_CONFIG_GLOBAL="+global).repo().Getenv); err != nil {
		t.Errorf("all below a folder: %v", err)
	}
}

// Real owners, where the test may give files away.
func TestOwner(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		return // only root has two users' files
	}
	const nobody = 65534
	for _, tt := range []struct {
		name string
		own  []string // given away
		env  []string
		want bool
	}{
		{"all one's own", nil, nil, true},
		{"git dir", []string{".git"}, nil, false},
		{"work tree", []string{"."}, nil, false},
		{"what lies in them", []string{"d", ".git/config"}, nil, true},
		{"all", []string{".", ".git"}, nil, false},
		{"all, by sudo of the owner", []string{".", ".git"}, []string{"SUDO_UID=65534"}, true},
		{"all, by sudo of another", []string{".", ".git"}, []string{"SUDO_UID=1234"}, false},
		{"no number", []string{".", ".git"}, []string{"SUDO_UID=x"}, false},
		{"one's own, by sudo", nil, []string{"SUDO_UID=1234"}, true},
	} {
		r := newRepo(t)
		r.write("d/a", "")
		for _, path := range tt.own {
			if err := os.Chown(r.path(path), nobody, nobody); err != nil {
				t.Skipf("files cannot be given away: %v", err)
			}
		}
		agreesOnOwner(t, r.with(tt.env...), tt.name, tt.want)
	}

	r := newRepo(t)
	r.commit("x")
	r.git("worktree", "add", "-q", "../linked")
	if err := os.Chown(r.path("../linked/.git"), nobody, nobody); err != nil {
		t.Skipf("files cannot be given away: %v", err)
	}
	agreesOnOwner(t, r.at("../linked"), "the file .git", false)
}

// A git dir that came as plain files of another repository is not read, whatever
// its own files say of where the rest is.
func TestEmbedded(t *testing.T) {
	r := newRepo(t)
	r.commit("x")
	r.git("worktree", "add", "-q", "../linked")
	r.git("clone", "-q", ".", "../lib")
	r.git("submodule", "--quiet", "add", "../lib", "sub")
	r.git("clone", "-q", "--separate-git-dir=beside.git", ".", "apart")
	for _, bare := range []string{"formations/bot", "../alone.git", "disguised", "linked"} {
		r.git("init", "-q", "--bare", bare)
	}
	r.write("disguised/in/x", "")
	r.at("disguised").git("config", "core.bare", "false")
	r.at("disguised").git("config", "core.worktree", "in")
	r.write("linked/commondir", "../.git\n")
	r.write("linked/sub/x", "")

	for at, embedded := range map[string]bool{
		".": false, "../linked": false, ".git": false, ".git/refs": false, ".git/worktrees/linked": false, ".git/modules/sub": false,
		"sub": false, "apart": false, "../alone.git": false,
		"formations/bot": true, "formations/bot/refs": true, "disguised": true, "disguised/in": true, "linked": true, "linked/sub": true, "beside.git": true,
	} {
		_, err := Discover(r.at(at).dir, r.repo().Getenv)
		var is *EmbeddedError
		if errors.As(err, &is) != embedded || !embedded && err != nil {
			t.Errorf("%s: %v, want embedded %v", at, err, embedded)
		}
	}
	if _, err := Discover(r.path("linked"), func(name string) string {
		if name == "GIT_DIR" {
			return "."
		}
		return r.repo().Getenv(name)
	}); err != nil {
		t.Errorf("named by hand: %v", err)
	}
}
