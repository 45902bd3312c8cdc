package formation

import (
	"hash/maphash"
	"slices"
	"testing"
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

// What the short way reads, the reader of all of JSON reads alike.
func FuzzSumsOf(f *testing.F) {
	for _, seed := range []string{
		`{}`, "{\n}", "{\n\n}", "{\n  \"A\": \"x\"\n}", "{\n  \"A\": \"x\",\n  \"B\": \"y\"\n}", "{\n  \"B\": \"x\",\n  \"A\": \"y\"\n}", "{\n  \"A\": \"x\",\n  \"A\": \"y\"\n}",
		"{\n  \"A\": \"x\",\n}", "{\n  \"A\": \"x\"\n}\n", "{\n  \"A\": \"\"\n}", "{\n  \"\": \"\"\n}", "{\n  \"A\": \"\t\"\n}", "{\n  \"A\": \"\\n\"\n}", "{\n  \"A\": 1\n}",
		"{\n  \"A\": \"x\": \"y\"\n}", "{\n  \"A\": \"x\"y\"\n}", "{\n  \"A\": \"x\" \n}", "{\n  \"A\": \"é\xff\"\n}", "{\n  \"A\": \"x\",\n  \"B\": {\n    \"C\": \"y\"\n  }\n}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		seed := maphash.MakeSeed()
		sums, err := SumsOf(in, seed)
		v, wantErr := DecodeVault(in)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%q: %v, want %v", in, err, wantErr)
		}
		if err == nil && !slices.Equal(sums, v.Sums(seed)) {
			t.Fatalf("%q has other sums", in)
		}
	})
}

func TestSumsOfLinesReadsWhatWeWrite(t *testing.T) {
	v := NewVault()
	v.Set("A", "plain")
	v.Set("B", "of any sort: [1, 2], {}")
	if _, ok := sumsOfLines(v.Encode(), maphash.MakeSeed()); !ok {
		t.Error("the usual form takes the long way")
	}
}
