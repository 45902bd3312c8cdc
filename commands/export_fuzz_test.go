package commands

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// FuzzExportImport: what 'export' writes, 'import' reads as the very same values.
func FuzzExportImport(f *testing.F) {
	for _, seed := range [...]string{"a", "it's \"$x\"\n", "\r\n", "{\"A\": 1}", "\\", "\ufeff\ufffd", " #", "`", "##[x", "\u202e", "${A}"} {
		f.Add("A", seed, "last")
		f.Add("B_2", "first", seed)
	}
	f.Fuzz(func(t *testing.T, name, one, two string) {
		name = formation.Normalize(name)
		if name == "" || name == "Z" || one == "" || two == "" || !utf8.ValidString(one) || !utf8.ValidString(two) {
			return
		}
		vault := formation.NewVault()
		vault.Set(name, one)
		vault.Set("Z", two)
		for _, format := range [...]string{"dotenv", "json"} {
			text, err := (&session{Env: &Env{}}).formatExport(vault, format)
			if err != nil {
				t.Fatal(err)
			}

			list, err := formation.ParseDotenv([]byte(text))
			if sealed := (*formation.SealedDotenvError)(nil); errors.As(err, &sealed) || len(list) == 1 {
				continue // another tool's ciphertext, or dotenvx's note
			}
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			got := map[string]string{}
			for _, a := range list {
				got[a.Name] = a.Value
			}
			if len(got) != 2 || got[name] != one || got["Z"] != two {
				t.Fatalf("%s: %d values, or others than were exported", format, len(got))
			}
		}
	})
}
