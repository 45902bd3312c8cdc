package commands

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// What a shell completes itself. Such a line stands among the candidates.
const (
	shellFiles   = ":files"
	shellFolders = ":folders"
)

func (r *runner) completeCommand() *cli.Command {
	return &cli.Command{
		Name:      "complete",
		Usage:     "say what may come next on a command line (shells call this)",
		UsageText: "-- WORD...",
		Description: `   git muxi-secrets complete -- get OPENAI_

Prints a line for each candidate: the word, a tab, what it is. The last WORD is
the one that is being typed. ':files' and ':folders' leave it to the shell. It
needs no key, and says nothing about errors.`,
		Hidden: true,
		Action: func(c *cli.Context) error {
			s := &session{Env: r.env, ctx: c.Context, doing: "complete"}
			for _, word := range s.complete(c.Context, r.app(), c.Args().Slice()) {
				if line := word.line(); line != "" {
					if _, err := r.env.Out.Write([]byte(line)); err != nil {
						return nil // the shell went away
					}
				}
			}

			return nil
		},
	}
}

// candidate is a word that may come next, and what it is.
type candidate struct{ word, about string }

// line is how a shell reads it; "" for one that could not be read back.
func (c candidate) line() string {
	if c.word == "" || strings.ContainsFunc(c.word, steers) || c.about == "" && strings.HasPrefix(c.word, ":") && c.word != shellFiles && c.word != shellFolders {
		return ""
	}
	if c.about == "" {
		return c.word + "\n"
	}
	return c.word + "\t" + sanitize(c.about) + "\n"
}

// typed is a command line as far as it has been typed.
type typed struct {
	usage     string // the usage line of the command
	flags     []cli.Flag
	commands  []*cli.Command // that may come next
	arguments []string
	used      map[string]bool // flags, by their first name
	pending   cli.Flag        // its value is being typed
	dir       string          // -C DIR
	plain     bool            // behind --: no flags any more
}

// parse walks over the words in front of the one that is being typed.
func parse(app *cli.App, words []string) *typed {
	t := &typed{flags: app.Flags, commands: app.Commands, used: map[string]bool{}}
	for i := 0; i < len(words); i++ {
		if !t.plain {
			words = slices.Concat(words[:i], apart(t.flags, words[i]), words[i+1:])
		}
		word := words[i]
		switch {
		case t.plain:
			t.arguments = append(t.arguments, word)
		case word == "--":
			t.plain = true
		case len(word) > 1 && word[0] == '-':
			name, value, joined := strings.Cut(strings.TrimLeft(word, "-"), "=")
			flag := flagNamed(t.flags, name)
			if flag == nil {
				continue
			}
			t.used[flag.Names()[0]] = true
			if !joined && takesNext(t.flags, word) {
				if i++; i == len(words) {
					t.pending = flag
					return t
				}

				value = words[i]
			}

			if flag.Names()[0] == "formation" {
				t.dir = value
			}
		default:
			if command := commandNamed(t.commands, word); command != nil && len(t.arguments) == 0 {
				t.usage = command.UsageText
				t.flags, t.commands = command.Flags, command.Subcommands
				continue
			}

			t.arguments = append(t.arguments, word)
		}
	}

	return t
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	for _, flag := range flags {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}

// complete gives what may stand in the place of the last word.
func (s *session) complete(ctx context.Context, app *cli.App, words []string) []candidate {
	if len(words) == 0 {
		words = []string{""}
	}

	last := words[len(words)-1]
	t := parse(app, words[:len(words)-1])
	s.dir = s.home(t.dir)
	if t.pending != nil {
		return startingWith(last, "", s.completeValue(ctx, t, t.pending, last))
	}
	if !t.plain && strings.HasPrefix(last, "-") {
		name, value, joined := strings.Cut(strings.TrimLeft(last, "-"), "=")
		if !joined {
			return startingWith(last, "", t.flagWords())
		}
		if flag := flagNamed(t.flags, name); flag != nil {
			return startingWith(value, last[:len(last)-len(value)], s.completeValue(ctx, t, flag, value))
		}
		return nil
	}

	var list []candidate
	if len(t.commands) > 0 {
		for _, command := range t.commands {
			if !command.Hidden && len(t.arguments) == 0 {
				list = append(list, candidate{command.Name, command.Usage})
			}
		}

		return startingWith(last, "", list)
	}

	list = s.completeArgument(ctx, t)
	if len(list) == 0 && last == "" && !t.plain {
		list = t.flagWords() // nothing else can come
	}
	return startingWith(last, "", list)
}

// startingWith keeps what begins with what was typed, puts lead in front of
// it, and leaves the shell's part alone.
func startingWith(typed, lead string, list []candidate) []candidate {
	var kept []candidate
	for _, c := range list {
		switch {
		case c.word == shellFiles || c.word == shellFolders:
			kept = append(kept, c)
		case strings.HasPrefix(c.word, typed):
			kept = append(kept, candidate{lead + c.word, c.about})
		}
	}
	return kept
}

// flagWords lists the flags that have not been given yet; those that may be
// given again stay.
func (t *typed) flagWords() []candidate {
	var list []candidate
	for _, flag := range t.flags {
		_, again := flag.(*cli.StringSliceFlag)
		documented, ok := flag.(cli.DocGenerationFlag)
		if name := flag.Names()[0]; ok && (again || !t.used[name]) {
			list = append(list, candidate{"--" + name, strings.ReplaceAll(documented.GetUsage(), "`", "")})
		}
	}
	return append(list, candidate{"--help", "show help"})
}

// completeValue lists the values of a flag, by the word that stands behind it in
// the usage line, or in its own description.
func (s *session) completeValue(ctx context.Context, t *typed, flag cli.Flag, last string) []candidate {
	_, values := usageWords(t.usage)
	word := values["--"+flag.Names()[0]]
	if documented, ok := flag.(cli.DocGenerationFlag); ok && word == "" {
		_, rest, _ := strings.Cut(documented.GetUsage(), "`")
		word, _, _ = strings.Cut(rest, "`")
	}
	if word == "WHO" {
		return nil // somebody new
	}
	return s.alternatives(ctx, t, word, last)
}

// completeArgument lists what the next argument of a command may be, by its
// usage line.
func (s *session) completeArgument(ctx context.Context, t *typed) []candidate {
	arguments, _ := usageWords(t.usage)
	nth := len(t.arguments)
	if last := len(arguments) - 1; nth > last && last >= 0 && strings.HasSuffix(arguments[last], "...") {
		nth = last
	}
	if nth >= len(arguments) {
		return nil
	}
	return s.alternatives(ctx, t, arguments[nth], "")
}

// usageWords returns the arguments that a usage line names, in order (NAME,
// FILE|-, WHO..., bash|zsh|fish), and the words behind flags.
func usageWords(usage string) (arguments []string, values map[string]string) {
	values = map[string]string{}
	flag := ""
	for _, field := range strings.Fields(usage) {
		word := strings.Trim(field, "[]")
		switch {
		case word == "|":
			flag = ""
		case strings.HasSuffix(field, "]") && strings.HasPrefix(word, "--"):
		case strings.HasPrefix(word, "-") && word != "-":
			flag = word
		case flag != "":
			values[flag], flag = strings.TrimRight(word, "]."), ""
		default:
			arguments = append(arguments, word)
		}
	}
	return arguments, values
}

// alternatives lists what may stand for one of several words of a usage line:
// those in small letters are spelled out.
func (s *session) alternatives(ctx context.Context, t *typed, word, last string) []candidate {
	var spelled []string
	for _, word := range strings.Split(strings.TrimSuffix(word, "..."), "|") {
		if list := s.placeholder(ctx, t, word, last); len(list) > 0 {
			return list
		}
		if word != "-" && word == strings.ToLower(word) {
			spelled = append(spelled, word)
		}
	}
	return words(spelled...)
}

// placeholder lists what may stand for a word in capitals of a usage line. What
// is left out has nothing that could be listed: a number, a name that is made up.
func (s *session) placeholder(ctx context.Context, t *typed, word, last string) []candidate {
	switch word {
	case "NAME", "OLD":
		return s.secretNames()
	case "WHO":
		return s.peopleNames(t.arguments)
	case "FILE", "RECIPIENT":
		return words(shellFiles)
	case "FOLDER":
		return words(shellFolders)
	case "DIR":
		return s.formationFolders()
	case "REF", "REV":
		return s.revisions(ctx, "")
	case "A..B":
		if from, _, ok := strings.Cut(last, ".."); ok {
			return s.revisions(ctx, from+"..")
		}
		return s.revisions(ctx, "")
	case "COMMAND":
		return pageTopics()
	}
	return nil
}

func words(list ...string) []candidate {
	var all []candidate
	for _, word := range list {
		all = append(all, candidate{word, ""})
	}
	return all
}

// onlyFormation is formation without its side effects: nothing is finished that
// a killed command left behind, since a person only pressed a key. For the same
// reason nothing is searched below a folder that is no repository's, such as /.
func (s *session) onlyFormation() *formation.Formation {
	if f := formation.Above(s.start()); f != nil {
		return f
	}
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return nil
	}
	root := layout.Top
	if s.dir != "" {
		root = s.start()
	}
	if found := s.formationsBelow(root); len(found) == 1 {
		return found[0]
	}
	return nil
}

// secretNames lists the names of the template; where there is none, those that
// the files refer to.
func (s *session) secretNames() []candidate {
	f := s.onlyFormation()
	if f == nil {
		return nil
	}
	about := "secret of " + s.name(f)
	var list []candidate
	content, err := os.ReadFile(f.Path(formation.TemplateFile))
	if err == nil {
		for _, name := range formation.ParseTemplate(content).Names() {
			list = append(list, candidate{name, about})
		}
		return list
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	survey, err := f.Survey()
	if err != nil {
		return nil
	}
	for _, name := range survey.Names() {
		list = append(list, candidate{name, about})
	}
	return list
}

// peopleNames lists whom a formation's key is shared with.
func (s *session) peopleNames(given []string) []candidate {
	f := s.onlyFormation()
	if f == nil {
		return nil
	}
	people, _, err := f.ReadPeople()
	if err != nil {
		return nil
	}
	var list []candidate
	seen := map[string]bool{}
	for _, p := range people.All() {
		word := p.Name
		if word == "" {
			word = p.Recipient
		}
		if !seen[word] && !slices.Contains(given, word) {
			seen[word] = true
			list = append(list, candidate{word, shorten(p.Recipient)})
		}
	}
	return list
}

// formationFolders lists the repository's formations, and any other folder.
func (s *session) formationFolders() []candidate {
	here := *s
	here.dir = "" // a folder that is typed is not below another one
	list := []candidate{}
	if layout, ok := here.where(); ok && layout.Top != "" {
		for _, f := range here.formationsBelow(layout.Top) {
			list = append(list, candidate{here.show(f.Dir), "formation"})
		}
	}
	return append(list, candidate{shellFolders, ""})
}

// revisions lists branches and tags, each with lead in front.
func (s *session) revisions(ctx context.Context, lead string) []candidate {
	layout, ok := s.where()
	if !ok {
		return nil
	}
	// No function below gives names of refs, and nothing else needs them.
	git := exec.CommandContext(ctx, "git", "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/remotes")
	git.Dir = s.start()
	if s.Environ != nil {
		git.Env = s.Environ()
	}
	out, err := git.Output()
	if err != nil {
		return nil
	}
	list := []candidate{}
	for _, name := range []string{"HEAD", "ORIG_HEAD", "MERGE_HEAD"} {
		if _, err := os.Stat(filepath.Join(layout.GitDir, name)); err == nil {
			list = append(list, candidate{lead + name, "commit"})
		}
	}
	kinds := map[string]string{"refs/heads/": "branch", "refs/tags/": "tag", "refs/remotes/": "remote branch"}
	for line := range strings.Lines(string(out)) {
		for _, folder := range slices.Sorted(maps.Keys(kinds)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), folder); ok {
				list = append(list, candidate{lead + name, kinds[folder]})
			}
		}
	}
	return list
}
