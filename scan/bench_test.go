package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goText is what this package is written in, some 100 KB of it.
func goText(b *testing.B) (text []byte) {
	b.Helper()
	names, _ := filepath.Glob("[a-z]*.go")
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			text = append(text, content...)
		}
	}
	return text
}

func yamlText() (text []byte) {
	for i := 0; len(text) < 2000; i++ {
		text = fmt.Appendf(text, "  retry_timeout_%d: \"${{ secrets.AGENT_API_KEY }}\"\nworker_%d: %d\n", i, i, i*977)
	}
	return text
}

func benchmarkFile(b *testing.B, s *Scanner, path string, text []byte) {
	if found := s.File(path, text, Regular); found != nil {
		b.Fatalf("findings:%s", summary(found))
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s.File(path, text, Regular)
	}
}

func valuesOf(n int) (named []NamedValue) {
	for i := range n {
		named = append(named, NamedValue{Name: fmt.Sprint("N", i), Value: []byte("sk-" + "proj-" + made(uint64(i), 24+i%40, alnum))})
	}
	return named
}

func scannerOf(values int) *Scanner {
	return &Scanner{Known: NewKnown(valuesOf(values), []byte(urlFernet()))}
}

func BenchmarkFile(b *testing.B) {
	text := goText(b)
	formation, err := os.ReadFile(filepath.Join("..", "testdata", "formations", "05-multi-agent-team", "formation.afs"))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, 20, 10_000} {
		s := &Scanner{}
		if n > 0 {
			s = scannerOf(n)
		}
		for name, c := range map[string]struct {
			path string
			text []byte
		}{
			"go-2KB": {"a.go", text[20_000:22_000]}, "go-80KB": {"a.go", text[:80_000]}, "yaml-2KB": {"src/a.yaml", yamlText()}, "formation": {"formation.afs", formation},
		} {
			b.Run(fmt.Sprintf("values=%d/%s", n, name), func(b *testing.B) { benchmarkFile(b, s, c.path, c.text) })
		}
	}
}

func BenchmarkKnown(b *testing.B) {
	text := goText(b)
	for _, n := range []int{1, 20, 10_000} {
		k := scannerOf(n).Known
		b.Run(fmt.Sprintf("values=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				k.find(text)
			}
		})
	}
}

func BenchmarkNewKnown(b *testing.B) {
	for _, n := range []int{20, 10_000} {
		b.Run(fmt.Sprintf("values=%d", n), func(b *testing.B) {
			values := valuesOf(n)
			for b.Loop() {
				NewKnown(values)
			}
		})
	}
}
