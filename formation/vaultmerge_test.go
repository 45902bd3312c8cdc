package formation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// contests spells what is contested: "A changed/removed, ...".
func contests(contested []Contest) string {
	var all []string
	for _, c := range contested {
		all = append(all, fmt.Sprintf("%s %s/%s", c.Name, c.Ours, c.Theirs))
	}
	return strings.Join(all, ", ")
}

// swapped are the contests of the same merge in the other direction.
func swapped(contested []Contest) []Contest {
	other := slices.Clone(contested)
	for i, c := range other {
		other[i].Ours, other[i].Theirs = c.Theirs, c.Ours
	}
	return other
}

func TestMergeVaults(t *testing.T) {
	for _, test := range [...]struct{ about, base, ours, theirs, merged, contested string }{
		// Nothing on one side.
		{"all empty", `{}`, `{}`, `{}`, `{}`, ""},
		{"nobody changed anything", `{"A": "1"}`, `{"A": "1"}`, `{"A": "1"}`, `{"A": "1"}`, ""},
		{"ours added", `{}`, `{"A": "1"}`, `{}`, `{"A": "1"}`, ""},
		{"theirs added", `{}`, `{}`, `{"A": "1"}`, `{"A": "1"}`, ""},
		{"ours changed", `{"A": "1"}`, `{"A": "2"}`, `{"A": "1"}`, `{"A": "2"}`, ""},
		{"theirs changed", `{"A": "1"}`, `{"A": "1"}`, `{"A": "2"}`, `{"A": "2"}`, ""},
		{"ours deleted", `{"A": "1"}`, `{}`, `{"A": "1"}`, `{}`, ""},
		{"theirs deleted", `{"A": "1"}`, `{"A": "1"}`, `{}`, `{}`, ""},
		// The same on both.
		{"both added alike", `{}`, `{"A": "1"}`, `{"A": "1"}`, `{"A": "1"}`, ""},
		{"both changed alike", `{"A": "1"}`, `{"A": "2"}`, `{"A": "2"}`, `{"A": "2"}`, ""},
		{"both deleted", `{"A": "1"}`, `{}`, `{}`, `{}`, ""},
		{"both deleted, one added another", `{"A": "1"}`, `{}`, `{"B": "1"}`, `{"B": "1"}`, ""},
		// In two ways.
		{"both added", `{}`, `{"A": "1"}`, `{"A": "2"}`, `{"A": "1"}`, "A added/added"},
		{"both changed", `{"A": "1"}`, `{"A": "2"}`, `{"A": "3"}`, `{"A": "2"}`, "A changed/changed"},
		{"changed and deleted", `{"A": "1"}`, `{"A": "2"}`, `{}`, `{"A": "2"}`, "A changed/removed"},
		{"deleted and changed", `{"A": "1"}`, `{}`, `{"A": "2"}`, `{}`, "A removed/changed"},
		{"only blanks differ", `{}`, `{"A": "1"}`, `{"A": "1 "}`, `{"A": "1"}`, "A added/added"},
		{"only a newline differs", `{"A": "1"}`, `{"A": "1\n"}`, `{"A": "1\r\n"}`, `{"A": "1\n"}`, "A changed/changed"},
		{"to empty and deleted", `{"A": "1"}`, `{"A": ""}`, `{}`, `{"A": ""}`, "A changed/removed"},
		{"two contests and a change", `{"A": "1", "B": "1", "C": "1"}`, `{"A": "2", "B": "1", "C": "2"}`, `{"A": "3", "B": "2"}`,
			`{"A": "2", "B": "2", "C": "2"}`, "A changed/changed, C changed/removed"},
		// Several names.
		{"each added one", `{}`, `{"A": "1"}`, `{"B": "2"}`, `{"A": "1", "B": "2"}`, ""},
		{"each changed one", `{"A": "1", "B": "1"}`, `{"A": "2", "B": "1"}`, `{"A": "1", "B": "2"}`, `{"A": "2", "B": "2"}`, ""},
		{"each deleted one", `{"A": "1", "B": "1", "C": "1"}`, `{"B": "1", "C": "1"}`, `{"A": "1", "C": "1"}`, `{"C": "1"}`, ""},
		{"one added, one deleted", `{"A": "1"}`, `{"A": "1", "B": "2"}`, `{}`, `{"B": "2"}`, ""},
		{"values changed places", `{"A": "1", "B": "2"}`, `{"A": "2", "B": "1"}`, `{"A": "1", "B": "2"}`, `{"A": "2", "B": "1"}`, ""},
		{"no base, equal and different", `{}`, `{"A": "1", "B": "1", "C": "1"}`, `{"A": "1", "B": "2", "D": "1"}`,
			`{"A": "1", "B": "1", "C": "1", "D": "1"}`, "B added/added"},
		// A rename is a delete and an add.
		{"renamed on one side", `{"A": "1"}`, `{"B": "1"}`, `{"A": "1"}`, `{"B": "1"}`, ""},
		{"renamed alike", `{"A": "1"}`, `{"B": "1"}`, `{"B": "1"}`, `{"B": "1"}`, ""},
		{"renamed to two names", `{"A": "1"}`, `{"B": "1"}`, `{"C": "1"}`, `{"B": "1", "C": "1"}`, ""},
		{"renamed and changed", `{"A": "1"}`, `{"B": "1"}`, `{"A": "2"}`, `{"B": "1"}`, "A removed/changed"},
		{"renamed onto a name that theirs added", `{"A": "1"}`, `{"B": "1"}`, `{"A": "1", "B": "2"}`, `{"B": "1"}`, "B added/added"},
		// An empty side.
		{"ours empty", `{"A": "1", "B": "2"}`, `{}`, `{"A": "1", "B": "3"}`, `{}`, "B removed/changed"},
		{"theirs empty", `{"A": "1", "B": "2"}`, `{"A": "1", "B": "3"}`, `{}`, `{"B": "3"}`, "B changed/removed"},
		// Values that are no text.
		{"a number and its text", `{}`, `{"A": 1}`, `{"A": "1"}`, `{"A": 1}`, "A added/added"},
		{"a number changed", `{"A": 1}`, `{"A": 1}`, `{"A": 2}`, `{"A": 2}`, ""},
		{"a number and a number with a point", `{}`, `{"A": 1}`, `{"A": 1.0}`, `{"A": 1}`, "A added/added"},
		{"one number in two spellings", `{"A": 1e-7}`, `{"A": 1e-07}`, `{"A": 2}`, `{"A": 2}`, ""},
		{"zero and minus zero", `{"A": -0}`, `{"A": 0}`, `{"A": 2}`, `{"A": 2}`, ""},
		{"long numbers", `{}`, `{"A": 12345678901234567890123}`, `{"A": 12345678901234567890124}`, `{"A": 12345678901234567890123}`, "A added/added"},
		{"null is not absent", `{"A": null}`, `{}`, `{"A": null}`, `{}`, ""},
		{"null to text, and deleted", `{"A": null}`, `{"A": "null"}`, `{}`, `{"A": "null"}`, "A changed/removed"},
		{"null added on both", `{}`, `{"A": null}`, `{"A": null}`, `{"A": null}`, ""},
		{"true and false", `{"A": true}`, `{"A": false}`, `{"A": true}`, `{"A": false}`, ""},
		{"a list, indented by Python", `{"A": [1,{"b":"é"}]}`, "{\"A\": [\n 1,\n {\"b\": \"\\u00e9\"}\n]}", `{"A": [1,{"b":"é"}], "B": "1"}`,
			"{\"A\": [\n 1,\n {\"b\": \"\\u00e9\"}\n], \"B\": \"1\"}", ""},
		{"a list and its text", `{}`, `{"A": [1]}`, `{"A": "[1]"}`, `{"A": [1]}`, "A added/added"},
		{"lists cut in two ways", `{}`, `{"A": [[1], 2]}`, `{"A": [[1, 2]]}`, `{"A": [[1], 2]}`, "A added/added"},
		{"a map in another order", `{"A": {"a": 1, "b": 2}}`, `{"A": {"b": 2, "a": 1}}`, `{"A": 1}`, `{"A": 1}`, ""},
		{"maps that differ deep inside", `{"A": {"a": {"b": ["1"]}}}`, `{"A": {"a": {"b": ["1"]}}}`, `{"A": {"a": {"b": ["2"]}}}`, `{"A": {"a": {"b": ["2"]}}}`, ""},
		{"maps changed deep inside in two ways", `{"A": {"a": {"b": 1}}}`, `{"A": {"a": {"b": 2}}}`, `{"A": {"a": {"b": 3}}}`, `{"A": {"a": {"b": 2}}}`, "A changed/changed"},
		{"one number in two spellings, in maps and lists", `{"A": {"a": [1e-7]}}`, `{"A": {"a": [1e-07]}}`, `{}`, `{}`, ""},
		{"a map that says a name twice", `{"A": {"a": 2}}`, `{"A": {"a": 1, "a": 2}}`, `{}`, `{}`, ""},
		{"strings that differ in where they end", `{}`, `{"A": ["a,", "b"]}`, `{"A": ["a", ",b"]}`, `{"A": ["a,", "b"]}`, "A added/added"},
		{"half a pair and another half", `{"A": "\ud800"}`, `{"A": "\ud801"}`, `{"A": "\ud800"}`, `{"A": "\ud801"}`, ""},
		{"half a pair and the sign for it", `{}`, `{"A": "\ud800"}`, `{"A": "\ufffd"}`, `{"A": "\ud800"}`, "A added/added"},
		{"half a pair in capitals", `{"A": "\ud800"}`, `{"A": "\uD800"}`, `{}`, `{}`, ""},
		{"half pairs in lists", `{"A": ["\ud800"]}`, `{"A": ["\ud801"]}`, `{"A": ["\ud800"]}`, `{"A": ["\ud801"]}`, ""},
		{"half pairs in lists, on theirs", `{"A": ["\ud800"]}`, `{"A": ["\ud800"]}`, `{"A": ["\ud801"]}`, `{"A": ["\ud801"]}`, ""},
		{"a pair in a list, escaped", `{"A": ["🔑a"]}`, `{"A": ["\ud83d\udd11a"]}`, `{}`, `{}`, ""},
		{"a list and what looks like one", `{}`, `{"A": ["x", "y"]}`, `{"A": ["x,\"y"]}`, `{"A": ["x", "y"]}`, "A added/added"},
		// One text in two spellings.
		{"escaped on ours", `{"A": "é/"}`, `{"A": "\u00e9\/"}`, `{"A": "2"}`, `{"A": "2"}`, ""},
		{"escaped on theirs", `{"A": "é/"}`, `{"A": "2"}`, `{"A": "\u00E9\/"}`, `{"A": "2"}`, ""},
		{"escaped, and deleted", `{"A": "\ud83d\udd11"}`, `{"A": "🔑"}`, `{}`, `{}`, ""},
		{"added in two spellings", `{}`, `{"A": "\u0041"}`, `{"A": "A"}`, `{"A": "A"}`, ""},
		{"a name in two spellings", `{"\u0041": "1"}`, `{"A": "2"}`, `{"A": "1"}`, `{"A": "2"}`, ""},
		{"an escape and what it spells", `{}`, `{"A": "\\u0041"}`, `{"A": "A"}`, `{"A": "\\u0041"}`, "A added/added"},
		{"a name that comes twice", `{"A": "1"}`, `{"A": "2", "A": "1"}`, `{"A": "3"}`, `{"A": "3"}`, ""},
		// Names that MUXI would not write.
		{"other names", `{"a": "1", "A": "1"}`, `{"a": "2", "A": "1"}`, `{"a": "1", "A": "3", "": "4"}`, `{"a": "2", "A": "3", "": "4"}`, ""},
	} {
		t.Run(test.about, func(t *testing.T) {
			base, ours, theirs := mustDecode(t, test.base), mustDecode(t, test.ours), mustDecode(t, test.theirs)
			merged, contested := MergeVaults(base, ours, theirs)
			if !bytes.Equal(merged.Encode(), mustDecode(t, test.merged).Encode()) {
				t.Errorf("merged to something else, names %q", merged.Names())
			}
			if got := contests(contested); got != test.contested {
				t.Errorf("contested: %q, want %q", got, test.contested)
			}
			for what, v := range map[string][2]any{"base": {base, test.base}, "ours": {ours, test.ours}, "theirs": {theirs, test.theirs}} {
				if got := v[0].(*Vault); got.Changed() || !bytes.Equal(got.Encode(), mustDecode(t, v[1].(string)).Encode()) {
					t.Errorf("the merge changed %s", what)
				}
			}
			checkMerge(t, base, ours, theirs)
		})
	}
}

func TestMergeVaultsNil(t *testing.T) {
	one, other := mustDecode(t, `{"A": "1", "B": "1"}`), mustDecode(t, `{"A": "1", "B": "2"}`)
	if merged, contested := MergeVaults(nil, one, other); contests(contested) != "B added/added" || merged.Len() != 2 {
		t.Errorf("without a base: %s", contests(contested))
	}
	if merged, contested := MergeVaults(one, nil, other); contests(contested) != "B removed/changed" || merged.Len() != 0 {
		t.Errorf("without ours: %s", contests(contested))
	}
	if merged, contested := MergeVaults(one, one, nil); contested != nil || merged.Len() != 0 {
		t.Errorf("without theirs: %s", contests(contested))
	}
	if merged, contested := MergeVaults(nil, nil, nil); contested != nil || merged.Len() != 0 || string(merged.Encode()) != "{}" {
		t.Error("of nothing comes something")
	}
}

// checkMerge holds a merge to what is true of every one.
func checkMerge(t *testing.T, base, ours, theirs *Vault) (merged *Vault, contested []Contest) {
	t.Helper()
	merged, contested = MergeVaults(base, ours, theirs)
	open := map[string]bool{}
	for _, c := range contested {
		open[c.Name] = true
	}
	if !slices.IsSortedFunc(contested, func(a, b Contest) int { return strings.Compare(a.Name, b.Name) }) || len(open) != len(contested) {
		t.Error("contests are not sorted, or come twice")
	}
	reverse, reversed := MergeVaults(base, theirs, ours)
	if !slices.Equal(reversed, swapped(contested)) {
		t.Errorf("contested %q, the other way round %q", contests(contested), contests(reversed))
	}
	for _, change := range DiffVaults(merged, reverse) {
		if !open[change.Name] {
			t.Errorf("%s is %s in the other direction", change.Name, change.Kind)
		}
	}
	for name := range open {
		if changeOf(name, merged, ours) != "" || changeOf(name, reverse, theirs) != "" || changeOf(name, ours, theirs) == "" {
			t.Errorf("contested %s is not as ours has it", name)
		}
	}
	for _, name := range slices.Concat(base.Names(), ours.Names(), theirs.Names(), merged.Names()) {
		if changeOf(name, merged, ours) != "" && changeOf(name, merged, theirs) != "" {
			t.Errorf("%s is as no side has it", name)
		}
		if !open[name] && changeOf(name, base, ours) != "" && changeOf(name, merged, ours) != "" || !open[name] && changeOf(name, base, theirs) != "" && changeOf(name, merged, theirs) != "" {
			t.Errorf("a change of %s is lost", name)
		}
	}
	// Merging again with the result changes nothing, and settles nothing.
	for _, again := range [...]struct {
		about              string
		base, ours, theirs *Vault
		contested          []Contest
	}{
		{"ours into the result", ours, merged, ours, nil},
		{"theirs into the result", theirs, merged, theirs, nil},
		{"the result into ours", ours, ours, merged, nil},
		{"the same again", base, merged, theirs, contested},
	} {
		twice, left := MergeVaults(again.base, again.ours, again.theirs)
		if DiffVaults(merged, twice) != nil || contests(left) != contests(again.contested) {
			t.Errorf("%s: %d changes, contested %q", again.about, len(DiffVaults(merged, twice)), contests(left))
		}
	}
	if decoded, err := DecodeVault(merged.Encode()); err != nil || DiffVaults(decoded, merged) != nil {
		t.Errorf("the merged vault is not read back: %v", err)
	}
	return merged, contested
}

// The model knows nothing of vaults: maps as encoding/json makes them. Half a
// surrogate pair, which it cannot hold, becomes other text first.
func jsonModel(t *testing.T, plaintext []byte) map[string]any {
	t.Helper()
	text := strings.NewReplacer(`\ud800`, "half d800", `\uD800`, "half d800", `\udfff`, "half dfff").Replace(string(plaintext))
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	m := map[string]any{}
	if err := decoder.Decode(&m); err != nil {
		t.Fatal("the model reads no JSON")
	}
	for name, value := range m {
		m[name] = modelValue(value)
	}
	return m
}

// modelValue makes numbers what Python makes of them: whole ones as they are,
// others float64, where there is one.
func modelValue(value any) any {
	switch value := value.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(value.String(), 64)
		if strings.ContainsAny(value.String(), ".eE") && err == nil {
			return fmt.Sprintf("%T %v", f, f)
		}
		if value == "-0" {
			return json.Number("0")
		}
	case []any:
		for i := range value {
			value[i] = modelValue(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = modelValue(value[name])
		}
	}
	return value
}

// mergeModel is a three-way merge by key, ours where both changed.
func mergeModel(base, ours, theirs map[string]any) (merged map[string]any, contested []string) {
	same := func(a, b map[string]any, key string) bool {
		x, inA := a[key]
		y, inB := b[key]
		return inA == inB && reflect.DeepEqual(x, y)
	}
	keys := maps.Clone(base)
	maps.Copy(keys, ours)
	maps.Copy(keys, theirs)
	merged = map[string]any{}
	for key := range keys {
		side := ours
		if same(base, ours, key) {
			side = theirs
		} else if !same(base, theirs, key) && !same(ours, theirs, key) {
			contested = append(contested, key)
		}
		if value, ok := side[key]; ok {
			merged[key] = value
		}
	}
	slices.Sort(contested)
	return merged, contested
}

// spellings are values, each in the ways a tool may write it.
var spellings = [...][]string{
	{`"a"`, `"\u0061"`}, {`"a\nb"`, `"a\u000ab"`, `"\u0061\u000Ab"`}, {`"/é"`, `"\/\u00e9"`, `"\/\u00E9"`}, {`"🔑"`, `"\ud83d\udd11"`, `"\uD83D\uDD11"`},
	{`""`}, {`" "`}, {`"A"`, `"\u0041"`}, {`"\\u0041"`}, {`"1"`}, {`1`}, {`1.5`}, {`-7`}, {`12345678901234567890123`}, {`12345678901234567890124`}, {`null`}, {`"null"`}, {`true`},
	{`[1, "a"]`, `[1,"a"]`, "[\n    1,\n    \"\\u0061\"\n]"}, {`"[1, \"a\"]"`}, {`[]`, `[ ]`}, {`{}`, `{ }`}, {`[[]]`}, {`[{}]`},
	{`{"b": 1, "a": null}`, `{"a":null,"b":1}`, `{"a": 3, "\u0061": null, "b": 1}`}, {`{"b": 1}`}, {`[["a"], "a"]`}, {`[["a", "a"]]`},
	{`"\ud800"`, `"\uD800"`}, {`"\udfff"`}, {`"\ud800\ud800"`}, {`["\ud800", 1]`, `["\uD800",1]`}, {`["\udfff", 1]`},
}

// randomSide is one side of a merge: for each name a value's place in spellings.
type randomSide map[string]int

func (s randomSide) changed(rnd *rand.Rand, names []string) randomSide {
	other := maps.Clone(s)
	for _, name := range names {
		switch rnd.IntN(6) {
		case 0:
			other[name] = rnd.IntN(len(spellings))
		case 1:
			other[name] = rnd.IntN(3) // so that both sides come to the same now and then
		case 2:
			delete(other, name)
		}
	}
	return other
}

// plaintext spells the values in one of their ways, in any order.
func (s randomSide) plaintext(rnd *rand.Rand) []byte {
	var members []string
	for name, value := range s {
		members = append(members, strconv.Quote(name)+":"+spellings[value][rnd.IntN(len(spellings[value]))])
	}
	return []byte("{" + strings.Join(members, ", ") + "}")
}

func TestMergeVaultsAgreesWithModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 11))
	names := strings.Fields("A B C D E F G H OLD_NAME lower")
	conflicts, clean := 0, 0
	for range 4000 {
		first := randomSide{}.changed(rnd, names).changed(rnd, names)
		texts := [3][]byte{first.plaintext(rnd), first.changed(rnd, names).plaintext(rnd), first.changed(rnd, names).plaintext(rnd)}
		if rnd.IntN(10) == 0 {
			texts[rnd.IntN(3)] = []byte("{}")
		}
		base, ours, theirs := mustDecode(t, string(texts[0])), mustDecode(t, string(texts[1])), mustDecode(t, string(texts[2]))
		merged, contested := checkMerge(t, base, ours, theirs)
		want, wantContested := mergeModel(jsonModel(t, texts[0]), jsonModel(t, texts[1]), jsonModel(t, texts[2]))
		if got := jsonModel(t, merged.Encode()); !reflect.DeepEqual(got, want) {
			t.Fatalf("merged to something else than the model: names %q, want %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		got := []string{}
		for _, c := range contested {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, wantContested) {
			t.Fatalf("contested %q, the model %q", got, wantContested)
		}
		if len(got) > 0 {
			conflicts++
		} else {
			clean++
		}
		if t.Failed() {
			return
		}
	}
	if conflicts < 100 || clean < 100 {
		t.Errorf("%d merges with conflicts, %d without: the test sees too little", conflicts, clean)
	}
}

// In a criss-cross merge git merges the two bases first, and takes the result as
// the base of the outer merge. A name that was contested there is contested
// again, unless both sides have settled it alike.
func TestCrissCross(t *testing.T) {
	base, left, right := mustDecode(t, `{"A": "1"}`), mustDecode(t, `{"A": "2"}`), mustDecode(t, `{"A": "3"}`)
	virtual, contested := MergeVaults(base, left, right)
	if contests(contested) != "A changed/changed" {
		t.Fatalf("contested %q", contests(contested))
	}
	// What goes wrong without it: ours in the base, and theirs wins in silence.
	if merged, silent := MergeVaults(virtual, left, right); silent != nil || !bytes.Equal(merged.Encode(), right.Encode()) {
		t.Error("the danger is another one than this test believes")
	}
	virtual.Spoil("A")
	if _, contested = MergeVaults(virtual, left, right); contests(contested) != "A changed/changed" {
		t.Errorf("contested %q after a spoiled base", contests(contested))
	}

	rnd := rand.New(rand.NewPCG(6, 12))
	names := strings.Fields("A B C D E F")
	again, settled := 0, 0
	for range 3000 {
		first := randomSide{}.changed(rnd, names).changed(rnd, names)
		one, two := first.changed(rnd, names), first.changed(rnd, names)
		virtual, contested := MergeVaults(mustDecode(t, string(first.plaintext(rnd))), mustDecode(t, string(one.plaintext(rnd))), mustDecode(t, string(two.plaintext(rnd))))
		for _, c := range contested {
			virtual.Spoil(c.Name)
		}
		// Each side settled the inner conflict in some way and went on.
		settle := func() *Vault {
			side := maps.Clone([]randomSide{one, two}[rnd.IntN(2)])
			if rnd.IntN(2) == 0 {
				side = side.changed(rnd, names)
			}
			return mustDecode(t, string(side.plaintext(rnd)))
		}
		ours, theirs := settle(), settle()
		merged, outer := checkMerge(t, virtual, ours, theirs)
		for _, c := range contested {
			open := slices.ContainsFunc(outer, func(o Contest) bool { return o.Name == c.Name })
			equal := changeOf(c.Name, ours, theirs) == ""
			switch {
			case open == equal:
				t.Fatalf("%s: both sides equal is %t, contested again is %t", c.Name, equal, open)
			case changeOf(c.Name, merged, ours) != "":
				t.Fatalf("%s is not as ours has it", c.Name)
			case equal:
				settled++
			default:
				again++
			}
		}
		if t.Failed() {
			return
		}
	}
	if again < 100 || settled < 100 {
		t.Errorf("%d contested again, %d settled: the test sees too little", again, settled)
	}
}

func TestDiffVaults(t *testing.T) {
	from := mustDecode(t, `{"A": "1", "B": [1, "é"], "C": "é", "D": "1", "E": null, "F": 1}`)
	to := mustDecode(t, `{"G": "1", "F": "1", "E": null, "D": "2", "C": "\u00e9", "B": [1,"\u00e9"]}`)
	if got, want := DiffVaults(from, to), []Change{{"A", Removed}, {"D", Changed}, {"F", Changed}, {"G", Added}}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := DiffVaults(nil, to); len(got) != to.Len() || got[0] != (Change{"B", Added}) {
		t.Errorf("from nothing: %v", got)
	}
	if got := DiffVaults(from, nil); len(got) != from.Len() || got[0] != (Change{"A", Removed}) {
		t.Errorf("to nothing: %v", got)
	}
	if DiffVaults(from, from) != nil || DiffVaults(nil, nil) != nil || DiffVaults(nil, NewVault()) != nil {
		t.Error("equal vaults differ")
	}
}

func TestTake(t *testing.T) {
	const before = `{"A": "1", "B": "2", "C": [1]}`
	from := mustDecode(t, `{"A": "9", "C": [2], "D": "\ud800"}`)
	v := mustDecode(t, before)
	for _, name := range [...]string{"A", "B", "C", "D", "NONE"} {
		v.Take(name, from)
	}
	if !bytes.Equal(v.Encode(), from.Encode()) || !v.Changed() {
		t.Error("not what the other vault has")
	}
	original := mustDecode(t, before)
	for _, name := range [...]string{"A", "B", "C", "D"} {
		v.Take(name, original)
	}
	if !bytes.Equal(v.Encode(), original.Encode()) || v.Changed() {
		t.Error("taken back, and not as before")
	}
	v.Take("A", nil)
	if v.Has("A") {
		t.Error("nil is not the empty vault")
	}
}

func TestSpoil(t *testing.T) {
	v := mustDecode(t, `{"A": "1"}`)
	seen := map[string]bool{"1": true}
	for range 100 {
		v.Spoil("A")
		value, ok, err := v.Get("A")
		if !ok || err != nil || seen[value] || len(value) < 22 {
			t.Fatalf("a spoiled name holds no fresh text: %v", err)
		}
		seen[value] = true
	}
	if v.Spoil("B"); !v.Has("B") || !v.Changed() {
		t.Error("a name that was not there")
	}
}

func TestDescribe(t *testing.T) {
	key, other := newKey(t, crypto.Fernet), newKey(t, crypto.Age)
	v := mustDecode(t, `{"B": "same", "A": "same", "L": [1, "é"], "T": "[1,\"é\"]", "old-name": "", "x\ny": "", "": "", "é": "", "a b": "", "\"": "", "z\u001b[2J": ""}`)
	text := string(v.Describe(key))
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var names, marks []string
	for _, line := range lines {
		cut := strings.LastIndexByte(line, ' ')
		names, marks = append(names, line[:max(cut, 0)]), append(marks, line[cut+1:])
	}
	if want := []string{`""`, `"\""`, `A`, `B`, `L`, `T`, `"a b"`, `old-name`, `"x\ny"`, `"z\u001b[2J"`, `"\u00e9"`}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	for i, mark := range marks {
		if len(mark) != 16 || strings.Trim(mark, "0123456789abcdef") != "" || slices.Index(marks, mark) != i {
			t.Errorf("mark %q of %s", mark, names[i])
		}
	}
	for _, secret := range [...]string{"same", `[1,`} {
		if strings.Contains(text, secret) {
			t.Error("a value is shown")
		}
	}
	// The same values, written by another tool.
	again := mustDecode(t, `{"z\u001b[2J": "", "\"": "", "a b": "", "\u00e9": "", "": "", "x\ny": "", "old-name": "", "T": "[1,\"\u00e9\"]", "L": [1,"\u00e9"], "A": "\u0073ame", "B": "same"}`)
	if string(again.Describe(key)) != text {
		t.Error("equal values have other marks")
	}
	if string(v.Describe(other)) == text {
		t.Error("the marks do not depend on the key")
	}
	// A line changes exactly where a value does.
	v.Set("B", "other")
	changed := strings.Split(strings.TrimSuffix(string(v.Describe(key)), "\n"), "\n")
	for i := range changed {
		if (changed[i] == lines[i]) != (names[i] != "B") {
			t.Errorf("line of %s", names[i])
		}
	}
	if bytes.Equal(mustDecode(t, `{"A": 1}`).Describe(key), mustDecode(t, `{"A": "1"}`).Describe(key)) {
		t.Error("a number has the mark of its text")
	}
	if len(NewVault().Describe(key)) != 0 {
		t.Error("an empty vault has lines")
	}
}

// Lists in lists cost no square of their depth.
func TestDeepValues(t *testing.T) {
	deep := func(blank string) string {
		return `{"A": ` + strings.Repeat("["+blank, 9000) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat("]", 9000) + `}`
	}
	if DiffVaults(mustDecode(t, deep("")), mustDecode(t, deep(" "))) != nil {
		t.Error("a blank is a change")
	}
}

func FuzzMergeVaults(f *testing.F) {
	for _, seed := range [...][3]string{
		{`{}`, `{}`, `{}`}, {`{"A": "1"}`, `{"A": "2"}`, `{}`}, {`{"A": "1", "B": [1, 2]}`, `{"B": [1,2]}`, `{"A": "\u0031", "B": 3}`},
		{`{"A": "\ud800"}`, `{"A": "\uD800"}`, `{"A": "\ud83d\ud83d\udd11"}`}, {`{"A": 1e-7}`, `{"A": 1E-07}`, `{"A": -0}`}, {`{"A": {"b": 1, "b": {}}}`, `{"A": {"b": {}}}`, `{"\u0041": null}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]), []byte(seed[2]))
	}
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		base, errA := DecodeVault(a)
		ours, errB := DecodeVault(b)
		theirs, errC := DecodeVault(c)
		if errA != nil || errB != nil || errC != nil {
			return
		}
		merged, contested := checkMerge(t, base, ours, theirs)
		for _, text := range [...][]byte{a, b, c} {
			if bytes.Contains(bytes.ToLower(text), []byte(`\ud`)) {
				return // more than the model can tell apart
			}
		}
		want, wantContested := mergeModel(jsonModel(t, a), jsonModel(t, b), jsonModel(t, c))
		if !reflect.DeepEqual(jsonModel(t, merged.Encode()), want) || len(contested) != len(wantContested) {
			t.Fatalf("not what the model says; contested %q, the model %q", contests(contested), wantContested)
		}
	})
}
