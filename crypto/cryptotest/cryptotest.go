// Package cryptotest lets the tests of every package ask Python's cryptography,
// on which the MUXI runtime is built, what it makes of a file.
//
// Every question starts one process; keys, values and scripts go through stdin.
package cryptotest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

//go:embed oracle.py
var source string

// Oracle is a Python that has the cryptography package.
type Oracle struct {
	Version      string // of Python, "3.11.2"
	Cryptography string // of the package, "38.0.4"

	// StopsAtPadding tells how this Python decodes base64: true where padding
	// ends the input, as in every release before 3.13.13 and 3.14.4; false
	// where it reads on behind it.
	StopsAtPadding bool

	executable string
}

// find probes once per test binary: importing cryptography takes a while.
var find = sync.OnceValues(func() (*Oracle, error) {
	var tried []error
	for _, name := range [...]string{"python3", "/usr/bin/python3"} {
		var found struct {
			Executable     string
			Python         string
			Cryptography   string
			StopsAtPadding bool `json:"stops_at_padding"`
		}
		if err := ask(name, "probe", nil, &found); err != nil {
			tried = append(tried, fmt.Errorf("%s: %w", name, err))
			continue
		}
		return &Oracle{
			Version:        found.Python,
			Cryptography:   found.Cryptography,
			StopsAtPadding: found.StopsAtPadding,
			executable:     found.Executable,
		}, nil
	}
	return nil, errors.Join(tried...)
})

// Available reports whether Python would return an oracle.
func Available() bool {
	_, err := find()
	return err == nil
}

// Python returns the first of python3 on PATH and /usr/bin/python3 that can
// import cryptography. Without one the test is skipped, or fails where the
// environment has CI=true.
func Python(t testing.TB) *Oracle {
	t.Helper()
	o, err := find()
	if err == nil {
		return o
	}
	const message = "no python3 with cryptography (Debian: python3-cryptography): %v"
	if os.Getenv("CI") == "true" {
		t.Fatalf(message, err)
	}
	t.Skipf(message, err)
	return nil
}

// ReadFormation decrypts a formation's folder as the MUXI runtime does: the
// bytes of .key, Fernet, UTF-8, json.loads, strings only. Where the runtime
// would fail, secrets is nil and class names Python's exception: InvalidToken,
// ValueError (the key), JSONDecodeError, TypeError (a value that is no string),
// FileNotFoundError. No key is ever made.
func (o *Oracle) ReadFormation(t testing.TB, dir string) (secrets map[string]string, class string) {
	t.Helper()
	err := ask(o.executable, "read_formation", map[string]string{"dir": dir}, &secrets)
	if raised, ok := errors.AsType[*raised](err); ok {
		return nil, raised.Class
	}
	if err != nil {
		t.Fatalf("asking python: %v", err)
	}
	return secrets, ""
}

// WriteFormation writes .key and secrets.enc into a folder as the MUXI runtime
// does: json.dumps(secrets, indent=2) in a Fernet token, both files 0600. key is
// written byte for byte; a nil key is generated. secrets is usually a
// map[string]string; any value that encodes to a JSON object will do.
func (o *Oracle) WriteFormation(t testing.TB, dir string, key []byte, secrets any) {
	t.Helper()
	request := map[string]any{"dir": dir, "key": key, "secrets": secrets}
	if err := ask(o.executable, "write_formation", request, nil); err != nil {
		t.Fatalf("asking python: %v", err)
	}
}

// Case is a key file and a token to open with it.
type Case struct {
	Key   []byte `json:"key"`
	Token []byte `json:"token"`
}

// Result is what Python made of a [Case]: the plaintext, or the class of the
// exception that it raised.
type Result struct {
	Plaintext []byte `json:"plaintext"`
	Class     string `json:"class"`
}

// OpenAll opens every case with Fernet(key).decrypt(token), both as bytes and
// without a TTL, in one process. The results are in the order of the cases.
func (o *Oracle) OpenAll(t testing.TB, cases []Case) []Result {
	t.Helper()
	var results []Result
	if err := ask(o.executable, "open_all", cases, &results); err != nil {
		t.Fatalf("asking python: %v", err)
	}
	if len(results) != len(cases) {
		t.Fatalf("asking python: %d results for %d cases", len(results), len(cases))
	}
	return results
}

// Run runs a Python script that finds its input, decoded from JSON, in the
// variable request and leaves its answer in response. Go's []byte is base64 text
// on the way in and out. An exception fails the test, naming class and line.
func (o *Oracle) Run(t testing.TB, script string, request, response any) {
	t.Helper()
	in := map[string]any{"script": script, "request": request}
	if err := ask(o.executable, "run", in, response); err != nil {
		t.Fatalf("asking python: %v", err)
	}
}

// raised is an exception in Python.
type raised struct{ Class, Where string }

func (r *raised) Error() string { return r.Class + " at " + r.Where }

func ask(python, mode string, request, response any) error {
	in, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	// -I: neither the test's folder nor PYTHON* variables decide what is imported.
	cmd := exec.Command(python, "-I", "-c", source, mode)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output() // what Python says on stderr is not repeated
	if err != nil {
		return err
	}
	var answer struct {
		OK    json.RawMessage
		Class string
		Where string
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	if answer.Class != "" {
		return &raised{answer.Class, answer.Where}
	}
	if response == nil {
		return nil
	}
	return json.Unmarshal(answer.OK, response)
}
