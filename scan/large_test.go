package scan

import (
	"fmt"
	"testing"
)

// A finding that two readings of a file have is listed once; two that touch are two.
func TestListed(t *testing.T) {
	at := func(rule Rule, start, end int) Finding { return Finding{Rule: rule, Line: 1, start: start, end: end} }
	reading := func(found ...Finding) *recoder { return &recoder{stream: &stream{found: found}} }
	got := listed([]*recoder{
		reading(at(PlaintextKey, 10, 20), at(PlaintextKey, 15, 30), at(KnownSecret, 40, 50)),
		reading(at(PlaintextKey, 12, 18), at(PlaintextKey, 30, 35), at(PlaintextKey, 5, 10), at(PlaintextKey, 40, 50), at(KnownSecret, 49, 60)),
	})
	var places []string
	for _, f := range got {
		places = append(places, fmt.Sprint(f.Rule, " ", f.start))
	}
	if want := "[plaintext-key 10 plaintext-key 15 known-secret 40 plaintext-key 30 plaintext-key 5 plaintext-key 40]"; fmt.Sprint(places) != want {
		t.Errorf("%v\nwant %s", places, want)
	}
}
