package scan

import (
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// isCommand reports whether a field (folded) holds a command line, whole or in
// words.
func isCommand(key string) bool {
	switch key {
	case "args", "arguments", "command", "cmd", "entrypoint":
		return true
	}
	return false
}

// commandLine follows the words of a command line over the items of a list: a
// secret may stand in the item behind the option that takes it.
type commandLine struct {
	list    *crumb // whose items they are
	expects expectation
}

// expectation is what the word before says of the next one.
type expectation uint8

const (
	anything    expectation = iota
	aSecret                 // behind --api-key
	aHeader                 // behind --header
	aLaterOne               // behind `Authorization:`, which an unquoted header leaves by itself
	aHeaderWord             // the scheme, Bearer, went before
)

// secretIn returns where in the value of a command line's leaf a literal stands
// that is a secret by what precedes it.
func (c *commandLine) secretIn(l *leaf) (at int, ok bool) {
	if list := l.at.up; !l.at.item || c.list != list {
		*c = commandLine{list: list}
	}

	value := l.value
	if strings.IndexByte(value, ' ') < 0 || c.expects != anything {
		return c.word(value, 0)
	}
	for from := 0; from < len(value); {
		start, end := shellWord(value, from)
		if start == end {
			break
		}
		if at, ok := c.word(value[start:end], start); ok {
			return at, true
		}
		from = end + 1
	}
	return 0, false
}

// wordOf is hit for a command line. One that is a text ends its words at a blank; an
// item of a list is one word, whatever is in it.
func (l *leaf) wordOf(text []byte, at int) hit {
	h := l.hit(text, at)
	word := l.value[at:]
	if end := strings.IndexAny(word, " \t\n\"'"); !l.at.item && end > 0 && strings.HasPrefix(string(text[h.start:min(len(text), h.start+end)]), word[:end]) {
		h.end = h.start + end
	}
	return h
}

// shellWord returns the bounds of the next word at or after from, without its
// quotes.
func shellWord(line string, from int) (start, end int) {
	for from < len(line) && isBlank(line[from]) {
		from++
	}
	if from == len(line) {
		return from, from
	}
	if q := line[from]; q == '"' || q == '\'' {
		if stop := strings.IndexByte(line[from+1:], q); stop > 0 {
			return from + 1, from + 1 + stop
		}
	}
	for end = from; end < len(line) && !isBlank(line[end]); end++ {
	}
	return from, end
}

// word judges one word, which stands at offset of its value.
func (c *commandLine) word(word string, offset int) (at int, ok bool) {
	expects := c.expects
	c.expects = anything
	switch {
	case expects == aSecret && !strings.HasPrefix(word, "-"):
		return offset, isSecretArgument(word)
	case expects == aHeader:
		return c.header(word, offset)
	case expects == aLaterOne:
		if schemeLength(word+" x") > 0 {
			c.expects = aHeaderWord
			return 0, false
		}
		return offset, isSecretArgument(word)
	case expects == aHeaderWord:
		return offset, isSecretArgument(word)
	}

	name, value, assigned := strings.Cut(word, "=")
	flag := strings.TrimLeft(name, "-/")
	isFlag := len(flag) < len(name)
	folded := foldName(flag)
	switch {
	case isFlag && (folded == "header" || flag == "H"):
		if assigned {
			return c.header(strings.Trim(value, `"'`), offset+len(name)+1+len(value)-len(strings.TrimLeft(value, `"'`)))
		}
		c.expects = aHeader
		if _, rest, ok := strings.Cut(word, " "); ok { // one item with both
			return c.header(rest, offset+len(word)-len(rest))
		}
	case !isOptionName(flag) || len(folded) > maxName:
		if name, _, ok := strings.Cut(word, ":"); ok && isSecretHeader(foldName(name)) { // an argument that is a header
			return c.header(word, offset)
		}
	case assigned && (isSecretVariable(folded) || isFlag && isCredentialName(folded)):
		return offset + len(name) + 1 + len(value) - len(strings.TrimLeft(value, `"'`)), isSecretArgument(strings.Trim(value, `"'`))
	case isFlag && !assigned && (isSecretVariable(folded) || isCredentialName(folded)):
		c.expects = aSecret
	case isFlag && strings.Contains(value, "=") && strings.IndexByte("-/", value[0]) < 0: // --env=NAME=V
		unquoted := strings.TrimLeft(value, `"'`)
		return c.word(strings.TrimRight(unquoted, `"'`), offset+len(word)-len(unquoted))
	}
	return 0, false
}

// header judges a header as one word, "Authorization: Bearer V".
func (c *commandLine) header(word string, offset int) (at int, ok bool) {
	name, value, ok := strings.Cut(word, ":")
	if !ok || !isSecretHeader(foldName(name)) {
		return 0, false
	}
	trimmed := strings.TrimLeft(value, " ")
	if trimmed == "" {
		c.expects = aLaterOne
		return 0, false
	}
	at, ok = literal(trimmed)
	return offset + len(word) - len(trimmed) + at, ok && isSecretArgument(trimmed[at:])
}

// isSecretArgument tells a secret from the settings that options take.
func isSecretArgument(value string) bool {
	switch strings.ToLower(value) {
	case "bearer", "basic", "oauth", "oauth2", "apikey", "api-key", "header", "env", "stdin", "-":
		return false
	}
	_, ok := literal(value)
	return ok && !isSetting(value) && !strings.ContainsAny(value, "<>()")
}

// isOptionName reports whether text may be the name of an option or a variable.
func isOptionName(text string) bool {
	return text != "" && span([]byte(text), 0, isToken) == len(text)
}

// inner judges JSON that is a value, or part of a command line, and may have been
// made a string once more: {"Authorization": "Bearer V"}, "{\"apiKey\":\"V\"}".
func (l *leaf) inner(text []byte) (hits []hit) {
	if len(l.value) > maxYAML {
		return nil
	}
	from, to, backslashes := objectIn(l.value)
	if from == to {
		return nil
	}
	if key, _, _, _ := tail(l.at); !isCommand(key) && strings.Trim(l.value[:from]+l.value[to:], " \t\r\n\"'") != "" {
		return nil
	}

	json := &layer{text: []byte(l.value[from:to])}
	for ; backslashes > 0; backslashes /= 2 {
		under := json
		json = &layer{under: under}
		unescapeAll(json, under.text, 0, len(under.text), '\\', unescapeBackslash)
	}
	leaves, err := parseYAML(json.text)
	if err != nil {
		return nil
	}

	for i := range leaves {
		in := &leaves[i]
		key, _, _, _ := tail(in.at)
		if in.value == "" || in.plain || !isCredentialName(key) && !isSecretVariable(key) && !isSecretHeader(key) {
			continue
		}
		if at, ok := literal(in.value); ok && !isSetting(in.value) {
			start := min(in.start+at, len(json.text)-1)
			start, _ = json.inFile(start, start+1)
			start = l.place(text, from+start)
			hits = append(hits, hit{rule: PlaintextKey, start: start, end: max(min(start+len(in.value)-at, l.end), start+1), field: l.field, place: l.at.path() + "." + in.at.path(),
				message: literalIn + "the JSON of " + fieldName(l.at) + ", where a reference belongs"})
		}
	}
	return hits
}

// objectIn returns where the first object of JSON in a value stands, and how many
// backslashes stand before each of its own quotes. Braces of references are none.
func objectIn(value string) (start, end, backslashes int) {
	start = strings.IndexByte(value, '{')
	for start >= 0 && (start > 0 && strings.IndexByte("${", value[start-1]) >= 0 || strings.HasPrefix(value[start:], "{{")) {
		next := strings.IndexByte(value[start+1:], '{')
		if next < 0 {
			return 0, 0, 0
		}
		start += 1 + next
	}
	if start < 0 {
		return 0, 0, 0
	}

	depth, quoted, run, quotes := 0, false, 0, 0
	for i := start; i < len(value); i++ {
		switch b := value[i]; {
		case b == '\\':
			run++
			continue
		case b == '"':
			if quotes == 0 {
				backslashes = run
			}
			if quotes++; run == backslashes {
				quoted = !quoted
			}
		case b == '{' && !quoted:
			depth++
		case b == '}' && !quoted:
			if depth--; depth == 0 {
				return start, i + 1, backslashes
			}
		}
		run = 0
	}
	return start, max(start, strings.LastIndexByte(value, '}')+1), backslashes
}

// pathSecret returns where in a URL's path a part stands that only a generator
// makes: the endpoints of some servers are passwords in themselves.
func pathSecret(value string) (at int, ok bool) {
	_, rest, found := strings.Cut(value, "://")
	if !found || strings.Contains(value, "${") {
		return 0, false
	}
	path := rest
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}

	at = len(value) - len(rest)
	for i, part := range strings.Split(path, "/") {
		const least = 24
		if i > 0 && len(part) >= least && isOptionName(part) && isGenerated(part) && !formation.IsSample(part) && !isPlaceholder(part) {
			return at, true
		}
		at += len(part) + 1
	}
	return 0, false
}

// isGenerated reports whether a word has letters and digits mixed as only a
// generator makes them. A UUID, and a hash as long as one of git's, may name a
// public thing.
func isGenerated(word string) bool {
	if strings.Count(word, "-") == 4 && len(word) == 36 || len(word) == 40 && span([]byte(word), 0, isHex) == 40 {
		return false
	}
	changes, digits := 0, 0
	for i := range len(word) {
		if is(word[i], isDigit) {
			digits++
		}
		if i > 0 && classes[word[i]]&isAlnum != classes[word[i-1]]&isAlnum {
			changes++
		}
	}
	return digits >= 3 && changes*3 >= len(word)
}
