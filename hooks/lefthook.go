package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// lefthook runs the commands and jobs of its settings.

// lefthookFiles are the names that those may have; a local file goes over them.
var (
	lefthookFiles = [...]string{"lefthook", ".lefthook", ".config/lefthook"}
	lefthookLocal = [...]string{"lefthook-local", ".lefthook-local", ".config/lefthook-local"}
	lefthookKinds = [...]string{".yml", ".yaml", ".json", ".toml"}
)

func lefthook() *manager {
	return &manager{"lefthook", "lefthook install", func(names []string) string { return lefthookSnippet(names, ".yml") }, planLefthook}
}

// lefthookRun is what lefthook runs for a hook, and whether that reads what git says.
func lefthookRun(name string) (run string, stdin bool) {
	switch name {
	case "commit-msg", "post-merge":
		return command(name) + " {1}", false
	case "pre-push":
		return command(name) + " {1} {2}", true
	}
	return command(name), false
}

// lefthookCommand are the lines of a command of ours, or behind "- " of a job.
func lefthookCommand(name string) []string {
	run, stdin := lefthookRun(name)
	lines := []string{"run: " + run}
	if stdin {
		lines = append(lines, "use_stdin: true")
	}
	return lines
}

// lefthookHook are the lines of a whole hook.
func lefthookHook(name string) []string {
	return append([]string{name + ":"}, indented("  ", lefthookCommands(name))...)
}

func lefthookCommands(name string) []string {
	return slices.Concat([]string{"commands:", "  " + lefthookName + ":"}, indented("    ", lefthookCommand(name)))
}

// lefthookName is what ours is called there.
const lefthookName = "muxi-secrets"

func indented(by string, lines []string) []string {
	var out []string
	for _, line := range lines {
		out = append(out, by+line)
	}
	return out
}

// lefthookSnippet is what belongs into a file of this kind.
func lefthookSnippet(names []string, kind string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "add to lefthook%s, then run 'lefthook install':\n", kind)
	for _, name := range names {
		run, stdin := lefthookRun(name)
		var lines []string
		switch kind {
		case ".toml":
			lines = []string{"[" + name + ".commands." + lefthookName + "]", fmt.Sprintf("run = %q", run)}
			if stdin {
				lines = append(lines, "use_stdin = true")
			}
		case ".json":
			hook, _ := json.Marshal(lefthookWanted(name))
			lines = []string{fmt.Sprintf(`"%s": {"commands": {"%s": %s}}`, name, lefthookName, hook)}
		default:
			lines = lefthookHook(name)
		}
		b.WriteString("\n" + strings.Join(indented("    ", lines), "\n") + "\n")
	}
	return b.String()
}

// lefthookWanted is a command of ours as its settings have it.
func lefthookWanted(name string) map[string]any {
	run, stdin := lefthookRun(name)
	wanted := map[string]any{"run": run}
	if stdin {
		wanted["use_stdin"] = true
	}
	return wanted
}

// planLefthook has the first of lefthook's files run ours.
func planLefthook(top string, names []string) ([]*Change, error) {
	var wanted []string
	for _, name := range names {
		if lefthookCalls(top, name) != callHeard {
			wanted = append(wanted, name)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	file, kind := lefthookFile(top)
	path := filepath.Join(top, filepath.FromSlash(file))
	unsafe := func(reason string) error { return &UnsafeError{path, reason, lefthookSnippet(wanted, kind)} }
	if file == "" {
		return nil, &UnsafeError{filepath.Join(top, "lefthook.yml"), "is not there", lefthookSnippet(wanted, ".yml")}
	}
	if kind != ".yml" && kind != ".yaml" {
		return nil, unsafe("is no YAML, and is not written by this program")
	}
	content, err := readPlain(path)
	if err != nil {
		return nil, unsafe(err.Error())
	}
	after, err := editLefthook(content, wanted)
	if err != nil {
		return nil, unsafe(err.Error())
	}
	return []*Change{{Path: path, Before: content, After: after, mode: 0o644}}, nil
}

// lefthookFile is the file that lefthook reads first, from the top, and its kind.
func lefthookFile(top string) (file, kind string) {
	for _, stem := range lefthookFiles {
		for _, kind := range lefthookKinds {
			if paths.There(filepath.Join(top, filepath.FromSlash(stem+kind))) {
				return stem + kind, kind
			}
		}
	}
	return "", ""
}

// editLefthook puts a command, or where a hook has jobs a job, into each hook, and
// the hooks that are not there behind the rest. An error says why that cannot be.
func editLefthook(content []byte, names []string) ([]byte, error) {
	root, err := yamlMapping(content)
	if err != nil {
		return nil, err
	}
	var before, after map[string]any
	if err := formation.DecodeYAML(content, &before); err != nil {
		return nil, err
	}
	if before == nil {
		before = map[string]any{}
	}

	var insertions []insertion
	fresh := insertion{at: len(content)}
	if root != nil {
		fresh.indent = strings.Repeat(" ", root.Column-1)
	}
	for _, name := range names {
		key, value := yamlEntry(root, name)
		if key == nil {
			fresh.lines = append(fresh.lines, lefthookHook(name)...)
			before[name] = map[string]any{"commands": map[string]any{lefthookName: lefthookWanted(name)}}
			continue
		}
		in, err := lefthookInsertion(content, name, key, value, before)
		if err != nil {
			return nil, err
		}
		insertions = append(insertions, in)
	}
	sortInsertions(insertions)
	if fresh.lines != nil {
		insertions = append(insertions, fresh)
	}

	edited := insert(content, insertions, "")
	// Whatever was not thought of above: nothing but this has changed, and it counts.
	if err := formation.DecodeYAML(edited, &after); err != nil || !reflect.DeepEqual(before, after) {
		return nil, errors.New("would not say the same otherwise")
	}
	for _, name := range names {
		if entryCalls(after[name], name) != callHeard {
			return nil, fmt.Errorf("leaves out what %s has (skip, glob)", name)
		}
	}
	return edited, nil
}

// lefthookInsertion is for a hook that is there. settings become what they are then.
func lefthookInsertion(content []byte, name string, key, value *yaml.Node, settings map[string]any) (insertion, error) {
	in, err := yamlInside(content, key, value)
	if err != nil {
		return in, fmt.Errorf("%s there: %w", name, err)
	}
	hook, _ := settings[name].(map[string]any)
	if hook == nil {
		hook = map[string]any{}
		settings[name] = hook
	}

	commandsKey, commands := yamlEntry(value, "commands")
	jobsKey, jobs := yamlEntry(value, "jobs")
	switch {
	case commandsKey != nil:
		if in, err = yamlInside(content, commandsKey, commands); err != nil {
			return in, fmt.Errorf("the commands of %s there: %w", name, err)
		}
		there, _ := hook["commands"].(map[string]any)
		if there == nil {
			there = map[string]any{}
			hook["commands"] = there
		}
		if there[lefthookName] != nil {
			return in, fmt.Errorf("has a command %s of its own for %s", lefthookName, name)
		}
		there[lefthookName] = lefthookWanted(name)
		in.lines = append([]string{lefthookName + ":"}, indented("  ", lefthookCommand(name))...)
	case jobsKey != nil:
		if in, err = yamlInside(content, jobsKey, jobs); err != nil {
			return in, fmt.Errorf("the jobs of %s there: %w", name, err)
		}
		job := lefthookWanted(name)
		job["name"] = lefthookName
		there, _ := hook["jobs"].([]any)
		hook["jobs"] = append([]any{job}, there...)
		in.lines = append([]string{"- name: " + lefthookName}, indented("  ", lefthookCommand(name))...)
	default:
		hook["commands"] = map[string]any{lefthookName: lefthookWanted(name)}
		in.lines = lefthookCommands(name)
	}
	return in, nil
}

// lefthookCalls reports whether lefthook's settings have a hook run ours.
func lefthookCalls(top, name string) call {
	settings := map[string]any{}
	for _, stem := range slices.Concat(lefthookFiles[:], lefthookLocal[:]) {
		for _, kind := range lefthookKinds {
			content, err := safefile.Read(filepath.Join(top, stem+kind), maxSettings)
			if err != nil {
				continue
			}
			if kind == ".toml" { // not worth a parser: a line that calls is taken at its word
				for line := range strings.Lines(string(content)) {
					if _, run, ok := strings.Cut(line, "run"); ok && line[0] != '#' && callsOurs(strings.Trim(run, " \t\r\n='\""), name, false) == callHeard {
						return callHeard
					}
				}
				continue
			}
			var more map[string]any // JSON is YAML
			if formation.DecodeYAML(content, &more) == nil {
				layOver(settings, more)
			}
		}
	}
	return entryCalls(settings[name], name)
}

// layOver puts one file's settings over another's.
func layOver(under, over map[string]any) {
	for key, value := range over {
		if into, ok := under[key].(map[string]any); ok {
			if from, ok := value.(map[string]any); ok {
				layOver(into, from)
				continue
			}
		}
		under[key] = value
	}
}

// entryCalls reports whether a hook, a command, a job or a group of lefthook's
// runs ours. What is skipped, or bound to certain files, does not.
func entryCalls(entry any, name string) call {
	one, ok := entry.(map[string]any)
	if !ok || one["skip"] == true || one["glob"] != nil {
		return callNone
	}
	best := callNone
	if run, ok := one["run"].(string); ok {
		best = callsOurs(run, name, false)
	}
	commands, _ := one["commands"].(map[string]any)
	for _, command := range commands {
		best = max(best, entryCalls(command, name))
	}
	jobs, _ := one["jobs"].([]any)
	for _, job := range append(jobs, one["group"]) {
		best = max(best, entryCalls(job, name))
	}
	return best
}

func hasLefthook(top string) bool {
	for _, stem := range lefthookFiles {
		for _, kind := range lefthookKinds {
			if paths.There(filepath.Join(top, stem+kind)) {
				return true
			}
		}
	}
	return false
}
