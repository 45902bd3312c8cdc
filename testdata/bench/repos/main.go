// Command repos makes the repositories that the checks are measured on:
//
//	small  20 files, one changed and staged
//	big    50,000 files, ten changed and staged (FACTOR times as many files)
//	hist   500 files, 5,001 commits, five planted leaks (FACTOR times as many commits)
//
// usage: repos [-factor N] small|big|hist DIR
//
// Same arguments, same bytes: everything random comes from a fixed seed.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	factor := flag.Int("factor", 1, "times as many files (big) or commits (hist)")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: repos [-factor N] small|big|hist DIR")
	}
	if err := generate(flag.Arg(0), flag.Arg(1), *factor); err != nil {
		log.Fatal(err)
	}
}

func generate(shape, dir string, factor int) error {
	seed := [32]byte{}
	copy(seed[:], "git-muxi-secrets bench "+shape)
	g := &generator{r: rand.New(rand.NewChaCha8(seed))}
	if err := git(dir, nil, "init", "-q", "-b", "main", "."); err != nil {
		return err
	}
	switch shape {
	case "small":
		g.small()
	case "big":
		g.big(50_000 * factor)
	case "hist":
		g.hist(5_000 * factor)
	default:
		return fmt.Errorf("no such shape: %s", shape)
	}
	for _, args := range [][]string{
		{"config", "user.name", "bench"}, {"config", "user.email", "bench@example.com"}, {"config", "gc.auto", "0"},
	} {
		if err := git(dir, nil, args...); err != nil {
			return err
		}
	}
	if err := git(dir, g.out.Bytes(), "fast-import", "--quiet", "--force"); err != nil {
		return err
	}
	if err := git(dir, nil, "reset", "-q", "--hard", "main"); err != nil {
		return err
	}
	if shape != "small" {
		if err := git(dir, nil, "repack", "-adq"); err != nil {
			return err
		}
	}
	for _, change := range g.staged {
		path := filepath.Join(dir, filepath.FromSlash(change[0]))
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, append(content, change[1]...), 0o644); err != nil {
			return err
		}
	}
	return git(dir, nil, "add", "-u")
}

func git(dir string, stdin []byte, args ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	return nil
}

// generator writes a fast-import stream.
type generator struct {
	r      *rand.Rand
	out    bytes.Buffer
	staged [][2]string // path, text to append
}

func (g *generator) commit(n int, message string) {
	who := fmt.Sprintf("bench <bench@example.com> %d +0000", 1_700_000_000+60*n)
	fmt.Fprintf(&g.out, "commit refs/heads/main\nauthor %s\ncommitter %s\ndata %d\n%s\n", who, who, len(message), message)
}

func (g *generator) put(path, text string) {
	fmt.Fprintf(&g.out, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
}

const reference = "${{ secrets.OPENAI_API_KEY }}"

func formation(n int, key string) string {
	return fmt.Sprintf("schema: \"1.0.0\"\nid: demo-%d\ndescription: \"demo formation\"\nllm:\n  api_keys:\n    openai: \"%s\"\n  models:\n    - text: \"openai/gpt-4o\"\nagents: []\n", n, key)
}

func (g *generator) small() {
	g.commit(0, "init")
	for i := range 17 {
		g.put(fmt.Sprintf("src/f%02d.%s", i, endings[i%3]), g.text(i, 2000))
	}
	g.put("formation.afs", formation(0, reference))
	g.put("agents/a.afs", formation(1, reference))
	g.put(".gitignore", ".key\n")
	g.staged = append(g.staged, [2]string{"formation.afs", "# staged change\nnote: \"hello\"\n"})
}

func nested(i int) string {
	return fmt.Sprintf("src/pkg%03d/mod%02d/file%05d.%s", i/250, i/25%10, i, endings[i%3])
}

func (g *generator) big(files int) {
	g.commit(0, "init")
	for i := range files - 10 {
		g.put(nested(i), g.text(i, 2000))
	}
	for i := range 10 {
		g.put(fmt.Sprintf("formations/f%d/formation.afs", i), formation(i, reference)+g.text(0, 1600))
	}
	for i := range 3 {
		g.staged = append(g.staged, [2]string{fmt.Sprintf("formations/f%d/formation.afs", i), fmt.Sprintf("extra_%d: \"%s\"\n", i, reference)})
	}
	for i := 1750; i < 1757; i++ {
		g.staged = append(g.staged, [2]string{nested(i), fmt.Sprintf("# staged line %d\n", i)})
	}
}

func (g *generator) hist(commits int) {
	const files = 490
	name := func(i int) string { return fmt.Sprintf("src/p%02d/f%03d.%s", i/25, i, endings[i%3]) }
	plants := map[int][2]string{
		700:  {"formations/f1/.key", g.fernetKey() + "\n"},
		1500: {"formations/f2/formation.afs", formation(2, "sk-"+"proj-"+g.token(74)+"T3Blbk"+"FJ"+g.token(74))},
		2500: {"formations/f3/.key", g.fernetKey()},
		3300: {"formations/f4/formation.afs", formation(4, "sk-"+"ant-api03-"+g.token(93)+"AA")},
		4100: {"formations/f5/formation.afs", formation(5, "sk-"+g.token(24))},
	}
	g.commit(0, "init")
	for i := range files {
		g.put(name(i), g.text(i, 2000))
	}
	for i := range 10 {
		g.put(fmt.Sprintf("formations/f%d/formation.afs", i), formation(i, reference))
	}
	for c := 1; c <= commits; c++ {
		g.commit(c, fmt.Sprintf("change %d", c))
		for range 3 {
			i := g.r.IntN(files)
			g.put(name(i), g.text(i, 2000))
		}
		if plant, ok := plants[c]; ok {
			g.put(plant[0], plant[1])
		}
		if plant, ok := plants[c-20]; ok { // taken out again: only the history has it
			if strings.HasSuffix(plant[0], ".key") {
				fmt.Fprintf(&g.out, "D %s\n", plant[0])
			} else {
				g.put(plant[0], formation(int(plant[0][len("formations/f")]-'0'), reference))
			}
		}
	}
}

func (g *generator) fernetKey() string {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(g.r.IntN(256))
	}
	return base64.URLEncoding.EncodeToString(raw)
}

func (g *generator) token(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[g.r.IntN(len(letters))]
	}
	return string(b)
}

var endings = [...]string{"yaml", "go", "md"}

var words = strings.Fields(`agent memory server model config token budget limit retry timeout cache index worker queue
	stream header request response session user tenant region cluster node shard replica backup policy schema field value
	list item record event trigger schedule route handler parser buffer writer reader client secret key vault encrypt
	decrypt nonce cipher hash digest signature`)

func (g *generator) word() string { return words[g.r.IntN(len(words))] }

// text is about size bytes of YAML, Go or Markdown, by i.
func (g *generator) text(i, size int) string {
	var b strings.Builder
	w := bufio.NewWriter(&b)
	switch i % 3 {
	case 0:
		fmt.Fprintf(w, "# generated\nschema: \"1.0.0\"\nid: %s-%d\n", g.word(), g.r.IntN(1_000_000))
		for depth := 0; b.Len()+w.Buffered() < size; depth = g.r.IntN(3) {
			value := [...]string{"true", "false", fmt.Sprint(g.r.IntN(99999)), fmt.Sprintf("%q", g.word()+" "+g.word()),
				fmt.Sprintf("\"${{ secrets.%s_API_KEY }}\"", strings.ToUpper(g.word()))}[g.r.IntN(5)]
			fmt.Fprintf(w, "%s%s_%s: %s\n", strings.Repeat("  ", depth), g.word(), g.word(), value)
		}
	case 1:
		fmt.Fprintf(w, "package %s\n\nimport \"fmt\"\n\n", g.word())
		for n := 0; b.Len()+w.Buffered() < size; n++ {
			x := g.word()
			fmt.Fprintf(w, "func %s%d(%s string, n int) error {\n\tif n > %d {\n\t\treturn fmt.Errorf(\"%s %s: %%d\", n)\n\t}\n\t_ = \"%s/%s\"\n\treturn nil\n}\n\n",
				g.word(), n, x, g.r.IntN(999), g.word(), g.word(), g.word(), g.word())
		}
	default:
		fmt.Fprintf(w, "# %s\n\n", g.word())
		for b.Len()+w.Buffered() < size {
			for range 14 {
				fmt.Fprintf(w, "%s ", g.word())
			}
			fmt.Fprintln(w)
		}
	}
	w.Flush()
	return b.String()
}
