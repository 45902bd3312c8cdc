package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// keysOfForm is how many keys of each form are looked for in each place.
const keysOfForm = 20

// places are files in which keys lie, one a line: the first line, each line, the
// last one. KEY stands for the key, N for a number.
var places = map[string][3]string{
	".env":               {"LOG_LEVEL=info\n", "SERVICE_N_API_KEY=KEY\n", ""},
	"client.py":          {"import os\n", "client_N = Client(api_key=\"KEY\")\n", ""},
	"config.yaml":        {"services:\n", "  service_N_api_key: KEY\n", ""},
	".mcp.json":          {"{\"mcpServers\": {\n", "\"N\": {\"command\": \"npx\", \"env\": {\"SERVICE_API_KEY\": \"KEY\"}},\n", "\"last\": {}}}\n"},
	"docker-compose.yml": {"services:\n  a:\n    environment:\n", "      - SERVICE_N_API_KEY=KEY\n", ""},
	"NOTES.md":           {"# Notes\n\n", "Item N: we use KEY there.\n", ""},
}

// result is what was found of a form.
type result struct {
	format              formation.KeyFormat
	files               map[string]string // by place
	line, field, base64 int               // of keysOfForm in each place
	peers               []int             // lines that other programs find
}

// measure looks for keys of each form.
func measure() (all []result) {
	for i, f := range formation.KeyFormats() {
		r := result{format: f, files: map[string]string{}}
		random := rand.New(rand.NewPCG(uint64(i), 17))
		keys := make([]string, keysOfForm)
		for n := range keys {
			keys[n] = formationtest.ProviderKey(random, f)
		}

		for name, text := range places {
			r.files[name] = fill(text, keys, func(key string) string { return key })
			r.line += lines(name, r.files[name])
		}
		field := [3]string{"schema: \"1.0.0\"\nllm:\n  api_keys:\n", "    provider_N: \"KEY\"\n", ""}
		r.field = lines("formation.afs", fill(field, keys, func(key string) string { return key }))
		encoded := [3]string{"data:\n", "  field_N: KEY\n", ""}
		r.base64 = lines("data.yaml", fill(encoded, keys, func(key string) string { return base64.StdEncoding.EncodeToString([]byte(key)) }))
		all = append(all, r)
	}
	return all
}

// fill writes a place with keys.
func fill(text [3]string, keys []string, spell func(string) string) string {
	all := text[0]
	for n, key := range keys {
		all += strings.NewReplacer("KEY", spell(key), "_N", fmt.Sprint("_", n), "\"N\"", fmt.Sprintf("\"s%d\"", n), " N:", fmt.Sprintf(" %d:", n)).Replace(strings.Replace(text[1], "API_KEY", "API_K\x00Y", 1))
	}
	return strings.ReplaceAll(all+text[2], "K\x00Y", "KEY")
}

// lines counts the lines of a file with a finding.
func lines(name, text string) int {
	seen := map[int]bool{}
	for _, f := range (&scan.Scanner{}).File(name, []byte(text), scan.Regular) {
		seen[f.Line] = true
	}
	return len(seen)
}

// row is the form's line in the table.
func (r result) row() string {
	line := r.ownRow()
	for _, n := range r.peers {
		line += fmt.Sprintf(" %d |", n)
	}
	return line
}

// ownRow is the line without what other programs say.
func (r result) ownRow() string {
	f := r.format
	form := strings.TrimSpace("`" + f.Prefix + "` " + string(f.Form))
	if f.Prefix == "" {
		form = string(f.Form)
	}
	if f.Weak {
		form += " (weak)"
	}
	name := strings.TrimPrefix(strings.TrimPrefix(f.Name, "an "), "a ")
	return fmt.Sprintf("| %s | %s | <https://%s> | %s | %d | %d | %d |", name, form, f.Source, f.Shown, r.line, r.field, r.base64)
}

// named is the part of the page on keys without a form.
func named() string {
	var b strings.Builder
	b.WriteString(beside)
	b.WriteString("\n## Keys without a form\n\nFound by the variable's documented name, in `.env` files, compose files, the files of MCP clients, and `export` lines\nanywhere; with `_2`, `_PROD` and the like behind it, too.\n\n| vendor | variables |\n|---|---|\n")
	for line := range strings.Lines(formation.VendorVariables()) {
		vendor, names, _ := strings.Cut(strings.TrimSpace(line), ": ")
		b.WriteString("| " + vendor + " | `" + strings.ReplaceAll(names, " ", "` `") + "` |\n")
	}
	return b.String()
}

// beside is what has no line in the table.
const beside = `
Beside these, anywhere in a text: JSON web tokens (but for those that are public by their claims), client secrets of Entra ID (` + "`Q~`" + ` in the
middle), keys of Azure storage accounts, private key blocks (which service accounts of Google Cloud have in them), age identities,
Fernet keys; URLs of databases with a password; webhooks of Slack, Discord, Telegram, Teams, Power Automate, Zapier, Make, IFTTT,
Feishu, WeCom, Mattermost, Google Chat and DingTalk.
`

// head is the page up to the rows of its first table.
func head(peers []peer, all []result) string {
	forms, most := len(all), keysOfForm*len(places)
	ours, stated := 0, map[formation.Shown]int{}
	theirs := make([]int, len(peers))
	for _, r := range all {
		stated[r.format.Shown]++
		if r.line == most {
			ours++
		}
		for i, n := range r.peers {
			if n == most {
				theirs[i]++
			}
		}
	}
	var names, counts []string
	columns, line := "", ""
	for i, p := range peers {
		names = append(names, "*"+p.name+"* ("+p.version+")")
		counts = append(counts, fmt.Sprintf("%d by %s", theirs[i], p.name))
		columns += " " + p.name + " |"
		line += "---|"
	}

	return fmt.Sprintf(`# What is found

Made by `+"`go run ./testdata/detection`"+`; never by hand.

## Forms of keys

A key is found where its prefix, its alphabet and its length fit; where the prefix is *weak*, other texts begin like it,
and the rest has to look like chance. A form is written part by part: `+"`a`"+` letters and digits, `+"`l`"+` small ones, `+"`u`"+` capitals, `+"`d`"+` digits,
`+"`h`"+` hex, `+"`x`"+` hex in either case, `+"`i`"+` a UUID, `+"`w`"+` letters, digits, `+"`_`"+` and `+"`-`"+`, `+"`k`"+` dots too, `+"`b`"+` and `+"`e`"+` base64, `+"`s`"+` digits in base64 and `+"`m`"+` their first, each with its length; text in quotes.

*Shown* is how much of the form the source was seen to say: the *whole* of it (in words, as an example, in the code that makes or checks such
keys), or its *prefix*; where it is empty, that could not be confirmed, and the source is where its provider speaks of such keys.
Whole: %d forms, the prefix: %d, not confirmed: %d.

%d random keys of each form were laid into %d places: `+"`.env`"+`, Python, YAML, `+"`.mcp.json`"+`, compose, prose. *Line* is how many of these %d
are found, *field* how many of %d in `+"`llm.api_keys`"+` of a formation, *base64* how many of %d in base64; %s how many of the %d lines
these programs find. Every one of these lines: %d of %d forms here, %s.

| key | form | source | shown | line | field | base64 |%s
|---|---|---|---|---|---|---|%s
`, stated[formation.Whole], stated[formation.PrefixAlone], stated[formation.Unconfirmed],
		keysOfForm, len(places), most, keysOfForm, keysOfForm, strings.Join(names, " and "), most, ours, forms, strings.Join(counts, ", "), columns, line)
}
