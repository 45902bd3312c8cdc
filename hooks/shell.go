package hooks

import (
	"slices"
	"strings"
)

// call is what a shell script does with one of our hooks.
type call int

const (
	callNone    call = iota
	callUnheard      // git goes on whatever it answers
	callHeard
)

// callsOurs reports whether a shell script runs what one of our hooks does, and
// whether git hears of its answer: not in a comment, not in what is only printed.
// errexit says that the script is run by 'sh -e'.
func callsOurs(script, name string, errexit bool) call {
	commands := splitShell(script)
	first, _, _ := strings.Cut(script, "\n")
	if strings.HasPrefix(first, "#!") {
		_, options, _ := strings.Cut(first, " -")
		errexit = errexit || strings.Contains(strings.Fields(options + " .")[0], "e")
	}
	best := callNone
	for i, c := range commands {
		words := c.words
		if len(words) > 1 && words[0] == "set" && (words[1] == "-o" && slices.Contains(words, "errexit") || words[1][0] == '-' && strings.Contains(words[1], "e")) {
			errexit = true
		}
		if slices.ContainsFunc(words, func(word string) bool { return strings.HasSuffix(word, "husky.sh") }) {
			errexit = true // it runs the script again, by 'sh -e'
		}
		found := c.ours(name)
		if found == callHeard && !errexitHears(commands, i, errexit) && !heard(commands, i, strings.Contains(script, "pipefail")) {
			found = callUnheard
		}
		best = max(best, found)
	}
	return best
}

// errexitHears reports whether 'sh -e' ends the script with what command i answers.
func errexitHears(commands []shellCommand, i int, errexit bool) bool {
	return errexit && slices.Contains([]string{"", ";"}, commands[i].then)
}

// heard reports whether what command i answers becomes the answer of the script, or
// is asked for in it. What cannot be told is given the benefit of the doubt.
func heard(commands []shellCommand, i int, pipefail bool) bool {
	if commands[i].condition || slices.Contains(commands[i].words, "exec") {
		return true
	}

	last := len(commands) - 1
	for {
		for i < last && commands[i].then == "&&" {
			i++
		}
		switch commands[i].then {
		case "&":
			return false
		case "|":
			return pipefail
		case "||":
			next := commands[i+1:]
			for len(next) > 1 && next[0].printsOnly() && next[0].words[0] != ":" {
				next = next[1:] // { echo no; exit 1; }
			}
			return len(next) == 0 || !next[0].agrees()
		}
		if i == last {
			return true
		}

		i++
		if commands[i].alternative { // what stands between else and fi runs without it
			for i < last && !commands[i].closes {
				i++
			}
		}
		if words := commands[i].words; len(words) > 0 && !commands[i].closes {
			return len(words) == 1 && words[0] == "exit" || slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, "$?") })
		}
	}
}

// shellCommand is one simple command of a script.
type shellCommand struct {
	words                          []string
	condition, alternative, closes bool // it stands behind if, while or !; behind else; it is fi, done, } or )
	then                           string
}

// agrees reports whether a command answers yes, whatever happened.
func (c shellCommand) agrees() bool {
	text := strings.Join(c.words, " ")
	return text == "true" || text == ":" || text == "exit 0" || text == "return 0" || c.printsOnly()
}

func (c shellCommand) printsOnly() bool {
	return len(c.words) > 0 && slices.Contains([]string{"echo", "printf", ":"}, c.words[0])
}

// ours tells whether the command is a call of ours, by itself or in what it has
// another shell run.
func (c shellCommand) ours(name string) call {
	if c.printsOnly() {
		return callNone
	}
	for i, word := range c.words {
		if i > 0 && c.words[i-1] == "-c" && strings.Contains(word, " ") {
			if found := callsOurs(word, name, false); found != callNone {
				return found
			}
		}
		program := strings.TrimSuffix(word[strings.LastIndexAny(word, `/\`)+1:], ".exe")
		ours := program == "git-muxi-secrets" || program == "muxi-secrets" && slices.Contains(c.words[:i], "git")
		if ours && doesWorkOf(c.words[i+1:], name) {
			return callHeard
		}
	}
	return callNone
}

// doesWorkOf reports whether a command of ours with these words does the work of a
// hook: hook-run with its name, or with one that a variable holds, or for a
// commit's files check.
func doesWorkOf(words []string, name string) bool {
	names := []string{name}
	if name == "pre-merge-commit" {
		names = append(names, "pre-commit")
	}
	switch {
	case len(words) > 1 && words[0] == "hook-run":
		return strings.HasPrefix(words[1], "$") || slices.Contains(names, words[1])
	case len(words) > 0 && words[0] == "check":
		return slices.Contains(names, "pre-commit")
	}
	return false
}

// splitShell takes a script apart into simple commands, as far as it matters here:
// words without their quotes, and what stands between commands. Bodies of
// here-documents are left out.
func splitShell(script string) []shellCommand {
	var commands []shellCommand
	current := shellCommand{}
	end := func(then string) {
		if len(current.words) > 0 || current.closes || current.alternative {
			current.then = then
			commands = append(commands, current)
		}
		asked := current.condition && then != ";" && then != ""
		current = shellCommand{condition: asked}
	}
	add := func(word string, quoted bool) {
		if len(current.words) > 0 || quoted {
			current.words = append(current.words, word)
			return
		}
		switch word {
		case "if", "elif", "while", "until", "!":
			current.condition = true
			current.alternative = current.alternative || word == "elif"
		case "else":
			current.alternative = true
		case "fi", "done", "}", "esac":
			current.closes = true
		case "then", "do", "{":
		default:
			current.words = append(current.words, word)
		}
	}

	s := &shellText{rest: strings.ReplaceAll(script, "\\\n", " ")}
	for s.rest != "" {
		switch op := s.operator(); op {
		case "":
			if word, quoted := s.word(); word != "" || quoted {
				add(word, quoted)
			}
		case "(":
			end(";")
		case ")":
			end(";")
			current.closes = true // what follows the bracket follows what stands in it
		case " ":
		default:
			end(op)
		}
	}
	end("")
	return commands
}

// shellText is a script that is read from its beginning.
type shellText struct {
	rest  string
	until []string // the ends of here-documents that begin on the next line
}

// operator takes what stands between words: " " for blanks, a comment or a
// redirection, ";" for the end of a line, "" where a word begins.
func (s *shellText) operator() string {
	take := func(n int, op string) string {
		s.rest = s.rest[n:]
		return op
	}
	switch c := s.rest[0]; c {
	case ' ', '\t', '\r':
		return take(1, " ")
	case '#':
		return take(max(strings.IndexByte(s.rest+"\n", '\n'), 1), " ")
	case '\n':
		s.rest = s.rest[1:]
		s.skipDocuments()
		return ";"
	case ';', '(', ')':
		return take(1, string(c))
	case '&', '|':
		if len(s.rest) > 1 && s.rest[1] == c {
			return take(2, s.rest[:2])
		}
		return take(1, string(c))
	case '<', '>':
		if rest, ok := strings.CutPrefix(s.rest, "<<"); ok && !strings.HasPrefix(rest, "<") {
			s.rest = strings.TrimLeft(strings.TrimPrefix(rest, "-"), " \t")
			if s.rest != "" {
				word, _ := s.word()
				s.until = append(s.until, word)
			}
			return " "
		}
		return take(len(s.rest)-len(strings.TrimLeft(s.rest, "<>&")), " ")
	}
	return ""
}

func (s *shellText) skipDocuments() {
	for _, end := range s.until {
		for s.rest != "" {
			var line string
			line, s.rest, _ = strings.Cut(s.rest, "\n")
			if strings.TrimLeft(line, "\t") == end {
				break
			}
		}
	}
	s.until = nil
}

// word takes one word, without its quotes. A command substitution is part of it.
func (s *shellText) word() (word string, quoted bool) {
	var b strings.Builder
	depth := 0
	for s.rest != "" {
		c := s.rest[0]
		switch {
		case c == '\'':
			text, rest, _ := strings.Cut(s.rest[1:], "'")
			b.WriteString(text)
			s.rest, quoted = rest, true
			continue
		case c == '"':
			s.doubleQuoted(&b)
			quoted = true
			continue
		case c == '\\' && len(s.rest) > 1:
			b.WriteString(s.rest[:2])
			s.rest = s.rest[2:]
			continue
		case strings.HasPrefix(s.rest, "$("):
			depth++
			b.WriteString("$(")
			s.rest = s.rest[2:]
			continue
		case depth > 0 && c == ')':
			depth--
		case depth == 0 && strings.IndexByte(" \t\r\n;&|()<>", c) >= 0:
			return b.String(), quoted
		}
		b.WriteByte(c)
		s.rest = s.rest[1:]
	}
	return b.String(), quoted
}

func (s *shellText) doubleQuoted(b *strings.Builder) {
	for s.rest = s.rest[1:]; s.rest != ""; s.rest = s.rest[1:] {
		switch c := s.rest[0]; {
		case c == '"':
			s.rest = s.rest[1:]
			return
		case c == '\\' && len(s.rest) > 1 && strings.IndexByte("\"\\$`", s.rest[1]) >= 0:
			s.rest = s.rest[1:]
		}
		b.WriteByte(s.rest[0])
	}
}
