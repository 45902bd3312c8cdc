package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// public are repositories that hold few keys, and much that looks like some.
var public = []string{
	"muxi-ai/muxi", "evilmartians/lefthook", "FiloSottile/age", "getsops/sops", "supabase/supabase-js",
	"bitnami/charts", "openai/openai-agents-python", "modelcontextprotocol/servers", "docker/awesome-compose", "langfuse/langfuse",
}

const publicTitle = `
## Public repositories
`

// publicHead is the page from there to the rows of its last table.
func publicHead(peers []peer) string {
	text := publicTitle + `
The newest commit of each, cloned when this table was made. *Whole keys* are private key blocks and age identities with all that makes
them one, tests' keys among them; *others* are everything else, and almost always false alarms. *CPU* is seconds of processor time.

| repository | found | whole keys | others | CPU |`
	line := "|---|---|---|---|---|"
	for _, p := range peers {
		text += fmt.Sprintf(" %s %s: found | whole keys | others | CPU |", p.name, p.version)
		line += "---|---|---|---|"
	}
	return text + "\n" + line + "\n"
}

// compare is a repository's line in the table.
func compare(peers []peer, from, repository, work string) (string, error) {
	owner, name, _ := strings.Cut(repository, "/")
	dir := filepath.Join(work, owner, name)
	url := strings.NewReplacer("{owner}", owner, "{name}", name).Replace(from)
	if out, err := exec.Command("git", "clone", "-q", "--depth", "1", url, dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git clone: %w: %s", err, out)
	}
	defer os.RemoveAll(dir)

	program := filepath.Join(work, "git-muxi-secrets")
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w: %s", err, out)
		}
	}

	found, keys, took, err := oursIn(program, dir)
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("| %s | %d | %d | %d | %.2f |", repository, found, keys, found-keys, took.Seconds())
	for _, p := range peers {
		theirs, took, err := p.in(dir)
		if err != nil {
			return "", err
		}
		keys := 0
		for at, rule := range theirs {
			if rule == "private-key" || rule == "age-secret-key" {
				if whole, err := isWhole(at); err != nil {
					return "", err
				} else if whole {
					keys++
				}
			}
		}
		line += fmt.Sprintf(" %d | %d | %d | %.2f |", len(theirs), keys, len(theirs)-keys, took.Seconds())
	}
	return line, nil
}

// isWhole reports whether no dots stand for lines of the block that begins there.
func isWhole(at place) (bool, error) {
	text, err := os.ReadFile(at.file)
	if err != nil {
		return false, err
	}
	for _, line := range strings.Split(string(text), "\n")[at.line-1:] {
		if strings.HasSuffix(strings.TrimSpace(line), "...") {
			return false, nil
		}
		if strings.Contains(line, "-----END") {
			break
		}
	}
	return true, nil
}

// oursIn is what this program finds in a repository.
func oursIn(program, dir string) (found, keys int, took time.Duration, err error) {
	cmd := exec.Command(program, "check", "--format", "json")
	cmd.Dir = dir
	text, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
		return 0, 0, 0, err
	}
	took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()

	var report struct {
		Findings []struct{ Rule, Message string }
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return 0, 0, 0, err
	}
	for _, f := range report.Findings {
		if f.Rule == "key-file" || f.Rule == "key-material" && !strings.HasPrefix(f.Message, "a Fernet key") {
			keys++
		}
	}
	return len(report.Findings), keys, took, nil
}
