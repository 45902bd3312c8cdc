package gitutil

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// benchRepo makes a repository from a fast-import stream: files at first, then
// commits that change three of them each.
func benchRepo(b *testing.B, files, commits int) *testRepo {
	b.Helper()
	r := newRepo(b)
	random := rand.New(rand.NewSource(1))
	words := strings.Fields("agent memory server model config token budget limit retry timeout cache index worker queue stream header")
	text := func() string {
		var s strings.Builder
		for s.Len() < 2000 {
			fmt.Fprintf(&s, "%s_%s: %d\n", words[random.Intn(len(words))], words[random.Intn(len(words))], random.Intn(100000))
		}
		return s.String()
	}
	var stream bytes.Buffer
	put := func(i int) {
		s := text()
		fmt.Fprintf(&stream, "M 100644 inline src/pkg%03d/mod%02d/file%05d.yaml\ndata %d\n%s\n", i/250, i/25%10, i, len(s), s)
	}
	for c := range commits + 1 {
		message := fmt.Sprintf("change %d", c)
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter bench <bench@example.com> %d +0000\ndata %d\n%s\n", 1700000000+60*c, len(message), message)
		if c == 0 {
			for i := range files {
				put(i)
			}
			continue
		}
		for range 3 {
			put(random.Intn(files))
		}
	}
	r.gitIn(stream.String(), "fast-import", "--quiet")
	r.git("reset", "-q", "--hard", "main")
	r.git("repack", "-adq")
	return r
}

func benchStaged(b *testing.B, files, staged int) {
	r := benchRepo(b, files, 0)
	for i := range staged {
		name := filepath.Join(r.dir, fmt.Sprintf("src/pkg%03d/mod%02d/file%05d.yaml", i/250, i/25%10, i))
		if err := os.WriteFile(name, fmt.Appendf(nil, "staged: %d\n", i), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command("git", "add", "-u")
	cmd.Dir, cmd.Env = r.dir, r.env
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			list := exec.Command("git", "diff-index", "--cached", "--raw", "-z", "HEAD")
			list.Dir, list.Env = r.dir, r.env
			out, err := list.Output()
			if err != nil {
				b.Fatal(err)
			}
			var ids bytes.Buffer
			for field := range bytes.SplitSeq(out, []byte{0}) {
				if columns := bytes.Fields(field); len(columns) == 5 {
					fmt.Fprintf(&ids, "%s\n", columns[3])
				}
			}
			cat := exec.Command("git", "cat-file", "--batch")
			cat.Dir, cat.Env, cat.Stdin = r.dir, r.env, &ids
			if err := cat.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, backend := range []string{"git", "go-git"} {
		b.Run(backend, func(b *testing.B) {
			for b.Loop() {
				repo, err := r.open(backend)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				err = repo.Staged(context.Background(), Visitor{Blob: func(*Blob) error { n++; return nil }})
				if err != nil || n != staged {
					b.Fatalf("%d blobs, %v", n, err)
				}
				repo.Close()
			}
		})
	}
}

func BenchmarkStagedSmall(b *testing.B) { benchStaged(b, 20, 1) }
func BenchmarkStagedBig(b *testing.B)   { benchStaged(b, 50000, 10) }

func BenchmarkHistory(b *testing.B) {
	r := benchRepo(b, 500, 5000)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.Command("git", "cat-file", "--batch-all-objects", "--batch", "--unordered")
			cmd.Dir, cmd.Env = r.dir, r.env
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, backend := range []string{"git", "go-git"} {
		b.Run(backend, func(b *testing.B) {
			for b.Loop() {
				repo, err := r.open(backend)
				if err != nil {
					b.Fatal(err)
				}
				commits, blobs := 0, 0
				err = repo.History(context.Background(), Visitor{
					Commit: func(*Commit) error { commits++; return nil },
					Blob:   func(*Blob) error { blobs++; return nil },
				})
				if err != nil || commits != 5001 || blobs < 15000 {
					b.Fatalf("%d commits, %d blobs, %v", commits, blobs, err)
				}
				repo.Close()
			}
		})
	}
}

// BenchmarkLog is over 2,000 commits that change 20 vaults, among as many that
// change other files. The floor is git's own log of the same paths.
func BenchmarkLog(b *testing.B) {
	r := newRepo(b)
	random := rand.New(rand.NewSource(1))
	var stream bytes.Buffer
	var paths []string
	for i := range 20 {
		paths = append(paths, fmt.Sprintf("formations/agent-%02d/secrets.enc", i))
	}
	const vaults = 2000
	for c := range 2 * vaults {
		message := fmt.Sprintf("change %d", c)
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter bench <bench@example.com> %d +0000\ndata %d\n%s\n", 1700000000+60*c, len(message), message)
		put := func(path string) {
			content := fmt.Sprintf("%0800x", random.Int63())
			fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
		}
		if c == 0 {
			for i := range 400 {
				put(fmt.Sprintf("src/pkg%02d/file%03d.yaml", i%20, i))
			}
		}
		put(fmt.Sprintf("src/pkg%02d/file%03d.yaml", c%20, c%400))
		if c%2 == 1 {
			put(paths[random.Intn(len(paths))])
		}
	}
	r.gitIn(stream.String(), "fast-import", "--quiet")
	r.git("repack", "-adq")
	for name, args := range map[string][]string{
		"floor":        append([]string{"log", "--raw", "--"}, paths...),
		"floor, glob":  {"log", "--raw", "--", ":(top,glob)**/secrets.enc"},
		"floor, order": append([]string{"log", "--date-order", "--raw", "--"}, paths...),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("git", args...)
				cmd.Dir, cmd.Env = r.dir, r.env
				if _, err := cmd.Output(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, backend := range []string{"git", "go-git"} {
		b.Run(backend, func(b *testing.B) {
			for b.Loop() {
				repo, err := r.open(backend)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				err = repo.Log(context.Background(), "", []string{"secrets.enc"}, func(e *LogEntry) error { n += len(e.Changes); return nil })
				if err != nil || n != vaults {
					b.Fatalf("%d changes, %v", n, err)
				}
				repo.Close()
			}
		})
	}
}
