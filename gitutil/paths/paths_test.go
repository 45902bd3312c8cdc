package paths

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

func TestReal(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(top, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "a", "a/up": "..", "a/file": "b", "dangling": "nowhere"} {
		needs.Link(t, to, filepath.Join(top, link))
	}
	t.Chdir(filepath.Join(top, "a"))
	for path, want := range map[string][2]string{ // Real, Place
		"b":                            {"a/b", "a/b"},
		filepath.Join(top, "link/b"):   {"a/b", "a/b"},
		filepath.Join(top, "link"):     {"a", "link"},
		filepath.Join(top, "link/x/y"): {"a/x/y", "a/x/y"},
		"up/link/b":                    {"a/b", "a/b"},
		"file":                         {"a/b", "a/file"},
		filepath.Join(top, "dangling"): {"dangling", "dangling"},
		"../a/../link/none":            {"a/none", "a/none"},
	} {
		if got := Real(path); got != filepath.Join(top, want[0]) {
			t.Errorf("Real(%q) = %q, want %s", path, got, want[0])
		}
		if got := Place(path); got != filepath.Join(top, want[1]) {
			t.Errorf("Place(%q) = %q, want %s", path, got, want[1])
		}
	}
	for name, want := range map[string]bool{"link": true, "dangling": true, "none": false, "a/none": false} {
		if there, err := Exists(filepath.Join(top, name)); there != want || err != nil {
			t.Errorf("Exists(%s): %t, %v", name, there, err)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, tt := range []struct {
		dir, path, want string
		ok              bool
	}{
		{"/a", "/a", ".", true}, {"/a", "/a/b/c", "b/c", true}, {"/a", "/ab", "", false}, {"/a", "/", "", false}, {"/", "/a", "a", true},
		{"/a", "/a/../b", "", false}, {"/a", "/a/..b", "..b", true}, {"a", "/a", "", false},
	} {
		rel, ok := Below(filepath.FromSlash(tt.dir), filepath.FromSlash(tt.path))
		if rel != tt.want || ok != tt.ok || Within(filepath.FromSlash(tt.dir), filepath.FromSlash(tt.path)) != ok {
			t.Errorf("%s in %s: %q, %t", tt.path, tt.dir, rel, ok)
		}
	}
}

func TestQuote(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	for _, text := range []string{"", "a", "a b", "it's", "$x`y`\\", "-n", "a\nb", "*", "~", "é", "a;b", "!x", "#"} {
		for _, quoted := range []string{Quote(text), QuoteAlways(text)} {
			if out, err := exec.Command("sh", "-c", "printf %s "+quoted).Output(); err != nil || string(out) != text {
				t.Errorf("%q as %s: %q, %v", text, quoted, out, err)
			}
		}
	}
	if Quote("formations/a-1_b") != "formations/a-1_b" {
		t.Error("plain text is quoted")
	}
}

func TestFrom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder")
	root := filepath.VolumeName(dir) + string(filepath.Separator)
	for path, want := range map[string]string{
		"b/c":  filepath.Join(dir, "b", "c"),
		"../b": filepath.Join(filepath.Dir(dir), "b"),
		"/b/c": filepath.Join(root, "b", "c"), // on Windows of the same drive
		dir:    dir,
		"":     dir,
	} {
		if got := From(dir, path); got != want {
			t.Errorf("From(%q) = %q, want %q", path, got, want)
		}
	}
}
