package formation

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"
)

// DiffSums says what DiffVaults says.
func TestDiffSums(t *testing.T) {
	seed := maphash.MakeSeed()
	vaults := []string{
		`{}`, `{"A": "x"}`, `{"A": "y"}`, `{"A": "x", "B": "y"}`, `{"B": "y", "C": "z"}`,
		`{"A": 1}`, `{"A": 1.0}`, `{"A": "1"}`, `{"A": [1]}`, `{"A": [ 1 ]}`, `{"A": "\u0078"}`, `{"": "", "Z": ""}`, `{"B": "y", "A": "x"}`, `{"A": "x", "A": "y"}`,
	}
	for _, a := range vaults {
		for _, b := range vaults {
			from, errFrom := DecodeVault([]byte(a))
			to, errTo := DecodeVault([]byte(b))
			if errFrom != nil || errTo != nil {
				t.Fatal(errFrom, errTo)
			}
			seen, err := SumsOf([]byte(b), seed)
			if err != nil || !slices.Equal(seen, to.Sums(seed)) {
				t.Errorf("%s: the sums of its text are others (%v)", b, err)
			}
			if got, want := DiffSums(from.Sums(seed), to.Sums(seed)), DiffVaults(from, to); !slices.Equal(got, want) {
				t.Errorf("%s to %s: %v, want %v", a, b, got, want)
			}
		}
	}
}

// What the short way reads, Go's JSON package reads alike.
func FuzzDecodePlain(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"A":"x"}`, "{\n  \"A\": \"x\",\n  \"B\": \"y\"\n}", `{"A":"x","A":"y"}`, `{"A":"x",}`, `{"A":"x"}}`, `{,"A":"x"}`,
		`{"A":"x""B":"y"}`, `{"A":1}`, `{"A":"\n"}`, "{\"A\":\"\t\"}", `{"A"`, `{"A":"`, "{}\x00", `{"A":"x"} x`, ``, `"`, `{"":""}`, `{"":"","":""}`, `{"A":"x"},`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) {
			return // DecodeVault refuses it before
		}
		v := decodePlain(in)
		if v == nil {
			return
		}
		var want map[string]string
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatalf("%q was read, and is no JSON: %v", in, err)
		}
		got := map[string]string{}
		for name, e := range v.entries {
			got[name] = e.value
		}
		seed := maphash.MakeSeed()
		if sums, err := SumsOf(in, seed); err != nil || !slices.Equal(sums, v.Sums(seed)) {
			t.Fatalf("%q has other sums: %v", in, err)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%q was read otherwise", in)
		}
	})
}

func TestDecodePlainReadsWhatWeWrite(t *testing.T) {
	v := NewVault()
	v.Set("A", "plain")
	v.Set("B", "größer")
	if decodePlain([]byte("{\n  \"A\": \"plain\",\n  \"B\": \"x\"\n}")) == nil {
		t.Error("the usual form takes the long way")
	}
	again, err := DecodeVault(v.Encode())
	if err != nil || len(DiffVaults(v, again)) > 0 {
		t.Error("what we write is read otherwise")
	}
}

func TestFoldersWithKey(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"a", "b/c", "node_modules/x", ".git/y", "d"} {
		full := filepath.Join(top, filepath.FromSlash(dir))
		if err := os.MkdirAll(full, 0o755); err != nil {
			t.Fatal(err)
		}
		if dir != "d" {
			if err := os.WriteFile(filepath.Join(full, KeyFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{filepath.Join(top, "a"), filepath.Join(top, "b", "c")}
	if got := FoldersWithKey(top, 100); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := FoldersWithKey(top, 3); !slices.Equal(got, want[:1]) {
		t.Errorf("of three folders: %q", got)
	}
}
