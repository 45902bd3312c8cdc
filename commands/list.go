package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

type listOptions struct{ names, json bool }

func (r *runner) listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Aliases:   []string{"ls"},
		Usage:     "list the stored secrets, masked",
		UsageText: "[--names] [--json] [--all]",
		Description: `   git muxi-secrets list
   Secrets in formations/my-agent:
     - OPENAI_API_KEY: sk-****

A known public prefix is shown, then a mask of one fixed length.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "names", Usage: "print the names alone, a line each"},
			jsonFlag(),
			allFlag(),
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			return s.list(listOptions{names: c.Bool("names"), json: c.Bool("json")})
		}),
	}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }
func allFlag() cli.Flag {
	return &cli.BoolFlag{Name: "all", Usage: "every formation of the repository"}
}

// listed is one formation in the JSON of list.
type listed struct {
	Formation string         `json:"formation"`
	Secrets   []listedSecret `json:"secrets"`
}

type listedSecret struct {
	Name       string `json:"name"`
	Masked     string `json:"masked"`
	Referenced bool   `json:"referenced"`
}

func (s *session) list(o listOptions) error {
	formations, err := s.formations()
	if err != nil {
		return err
	}
	lists := []listed{}
	code := exitDone
	for _, f := range formations {
		s.current = f
		one, err := s.listOne(f, o)
		if err != nil && !s.all {
			return err
		}
		if err != nil { // those whose key is at hand are listed all the same
			code = max(code, s.explain(err).print(s.Err))
			continue
		}
		lists = append(lists, one)
	}
	if err := s.printLists(lists, o); err != nil || code == exitDone {
		return err
	}
	return exitCode(code)
}

func (s *session) printLists(lists []listed, o listOptions) error {
	switch {
	case o.json && s.all:
		return s.printJSON(map[string]any{"formations": lists})
	case o.json:
		return s.printJSON(lists[0])
	}
	for i, one := range lists {
		if !o.names && i > 0 {
			fmt.Fprintln(s.Out)
		}
		s.printList(one, o)
	}
	return nil
}

func (s *session) listOne(f *formation.Formation, o listOptions) (listed, error) {
	one := listed{Formation: s.name(f), Secrets: []listedSecret{}}
	opened, err := s.open(f)
	if err != nil {
		return one, err
	}
	referenced := map[string]bool{}
	if o.json {
		survey, err := f.Survey()
		if err != nil {
			return one, err
		}
		for _, name := range survey.Names() {
			referenced[name] = true
		}
	}
	for _, name := range opened.Vault.Names() {
		value, _, _ := opened.Vault.Get(name) // one that is no text masks as ****
		one.Secrets = append(one.Secrets, listedSecret{name, formation.Mask(value), referenced[name]})
	}
	return one, nil
}

func (s *session) printList(one listed, o listOptions) {
	if o.names {
		for _, secret := range one.Secrets {
			fmt.Fprintln(s.Out, sanitize(secret.Name))
		}
		return
	}
	if len(one.Secrets) == 0 {
		fmt.Fprintf(s.Out, "No secrets in %s yet\n", sanitize(one.Formation))
		return
	}
	fmt.Fprintf(s.Out, "Secrets in %s:\n", sanitize(one.Formation))
	for _, secret := range one.Secrets {
		fmt.Fprintf(s.Out, "  - %s: %s\n", sanitize(secret.Name), secret.Masked)
	}
}

// printJSON writes v indented by two blanks, without HTML escapes.
func (s *session) printJSON(v any) error { return writeJSON(s.Out, v) }

// writeJSON writes v for programs; a person's terminal is not steered by it, nor
// the runner of a pipeline.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	text := bytes.ReplaceAll(b.Bytes(), []byte("##"), []byte(`#\u0023`))
	if bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x7f && steers(r) }) {
		var escaped []byte
		for _, r := range string(text) {
			if r >= 0x7f && steers(r) {
				escaped = fmt.Appendf(escaped, "\\u%04x", r)
			} else {
				escaped = utf8.AppendRune(escaped, r)
			}
		}
		text = escaped
	}
	_, err := w.Write(text)
	return err
}
