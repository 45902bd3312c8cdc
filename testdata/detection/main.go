// Detection makes docs/detection.md: which forms of keys are found where, by this
// program, by gitleaks and by betterleaks, and what they say about public repositories.
//
//	go run ./testdata/detection -gitleaks PATH -betterleaks PATH > docs/detection.md
//
// gitleaks comes from `go install github.com/zricethezav/gitleaks/v8@v8.30.1`,
// betterleaks from `go install github.com/betterleaks/betterleaks@v1.7.0`. Keys
// are made at random, the same in every run. The repositories are cloned while the
// table is made, and not kept; -clone says from where, {owner} and {name} standing
// for theirs. That part takes minutes: -keep docs/detection.md leaves it as it is.
package main

import (
	"bufio"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	var peers [2]string
	flag.StringVar(&peers[0], "gitleaks", "gitleaks", "a program to compare with")
	flag.StringVar(&peers[1], "betterleaks", "betterleaks", "another one, by gitleaks' authors")
	from := flag.String("clone", "https://github.com/{owner}/{name}", "where repositories are cloned from")
	keep := flag.String("keep", "", "a page whose part on repositories stays")
	flag.Parse()

	var kept string
	if *keep != "" {
		page, err := os.ReadFile(*keep)
		if err != nil {
			fmt.Fprintln(os.Stderr, "detection:", err)
			os.Exit(1)
		}
		if at := strings.Index(string(page), publicTitle); at >= 0 {
			kept = string(page[at:])
		}
	}

	out := bufio.NewWriter(os.Stdout)
	err := write(out, peers[:], *from, kept)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "detection:", err)
		os.Exit(1)
	}
}

// peer is a program to compare with. Both take the same flags.
type peer struct{ path, name, version string }

// findPeer looks at what a program says of itself.
func findPeer(program string) (peer, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return peer{}, err
	}
	built, err := buildinfo.ReadFile(path)
	if err != nil {
		return peer{}, err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	version, _, _ := strings.Cut(strings.TrimPrefix(built.Main.Version, "v"), "+") // +dirty: built with a replace
	return peer{path: path, name: name, version: version}, nil
}

// write makes the page. kept is its last part, if it stays.
func write(out io.Writer, programs []string, from, kept string) error {
	work, err := os.MkdirTemp("", "detection")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	all := measure()
	dir := filepath.Join(work, "forms")
	if err := lay(dir, all); err != nil {
		return err
	}
	var peers []peer
	for _, program := range programs {
		p, err := findPeer(program)
		if err != nil {
			return err
		}
		peers = append(peers, p)
		if err := p.count(dir, all); err != nil {
			return err
		}
	}

	fmt.Fprint(out, head(peers, all))
	for _, r := range all {
		fmt.Fprintln(out, r.row())
	}
	fmt.Fprint(out, named())

	if kept != "" {
		_, err := io.WriteString(out, kept)
		return err
	}
	fmt.Fprint(out, publicHead(peers))
	for _, name := range public {
		line, err := compare(peers, from, name, work)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintln(out, line)
	}
	return nil
}

// lay writes every key in every place into a folder.
func lay(dir string, all []result) error {
	for i, r := range all {
		for name, text := range r.files {
			file := filepath.Join(dir, fmt.Sprint(i), name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// count has a peer look at the places in dir, and adds to each form how many of its
// lines that finds.
func (p peer) count(dir string, all []result) error {
	found, _, err := p.in(dir)
	if err != nil {
		return err
	}
	counts := make([]int, len(all))
	for place := range found {
		name, _ := filepath.Rel(dir, place.file)
		var i int
		if _, err := fmt.Sscanf(filepath.ToSlash(name), "%d/", &i); err == nil {
			counts[i]++
		}
	}
	for i := range all {
		all[i].peers = append(all[i].peers, counts[i])
	}
	return nil
}

// place is a line of a file.
type place struct {
	file string
	line int
}

// in returns the lines of a folder in which the peer finds something, by its rule,
// and how long the processor works for it.
func (p peer) in(dir string) (found map[place]string, took time.Duration, err error) {
	report, err := os.CreateTemp("", p.name)
	if err != nil {
		return nil, 0, err
	}
	report.Close()
	defer os.Remove(report.Name())

	cmd := exec.Command(p.path, "dir", "--no-banner", "--log-level", "error", "--exit-code", "0", "-f", "json", "-r", report.Name(), dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %s", p.name, err, out)
	}
	took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()

	text, err := os.ReadFile(report.Name())
	if err != nil {
		return nil, 0, err
	}
	var findings []struct {
		File, RuleID string
		StartLine    int
	}
	if err := json.Unmarshal(text, &findings); err != nil {
		return nil, 0, err
	}
	found = map[place]string{}
	for _, f := range findings {
		found[place{f.File, f.StartLine}] = f.RuleID
	}
	return found, took, nil
}
