package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suite is a run of a package's test binary.
type suite struct {
	pkg     string // as the go command takes it
	folder  string // where its tests run
	args    []string
	tests   []string // by name; of one that asks for subtests, those: TEST/SUBTEST
	all     bool     // of the package
	below   bool     // it asks for subtests
	timeout time.Duration
}

// only is the suite with some of its tests.
func (s suite) only(tests []string) suite {
	s.tests = tests
	s.args = append(slices.Clip(s.args), "-test.run="+exactly(tests))
	return s
}

// is reports whether another suite is the same.
func (s suite) is(other suite) bool { return s.pkg == other.pkg && slices.Equal(s.args, other.args) }

func (o options) shortArg() string { return fmt.Sprintf("-test.short=%t", o.short) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// suitesOf returns the suites for the mutants of each folder. The package's own
// come in two parts, the quick tests before the slow ones: most mutants are
// noticed by both. All of them are run once without a mutant, and have to pass.
func suitesOf(ctx context.Context, o options, mutants []mutant, work string, messages io.Writer) (map[string][]suite, error) {
	suites := map[string][]suite{}
	for _, m := range mutants {
		suites[m.folder] = nil
	}
	var others []suite
	for _, with := range o.with {
		pkg, tests, _ := strings.Cut(with, ":")
		other := suite{pkg: pkg, folder: pkg, args: []string{"-test.run=" + tests, o.shortArg()}, all: tests == ".", below: strings.Contains(tests, "/")}
		took, _, err := passes(ctx, &other, o, work)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(messages, "%s: %.1fs\n", with, took.Seconds())
		others = append(others, other)
	}
	for _, folder := range sorted(suites) {
		own := suite{pkg: "./" + folder, folder: folder, args: []string{"-test.run=" + o.tests, "-test.skip=" + o.skip, o.shortArg()}, below: strings.Contains(o.tests, "/")}
		took, byTest, err := passes(ctx, &own, o, work)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(messages, "%s: %d tests, %.1fs\n", folder, len(byTest), took.Seconds())
		if quick, slow := halves(byTest); len(slow) > 0 {
			first, second := own.only(quick), own.only(slow)
			first.timeout = min(own.timeout, max(took/2, 30*time.Second)+30*time.Second) // it takes a quarter, and may not end at all
			suites[folder] = []suite{first, second}
		} else {
			suites[folder] = []suite{own}
		}
		for _, other := range others {
			if !other.all || filepath.Clean(other.pkg) != folder { // else they are its own
				suites[folder] = append(suites[folder], other)
			}
		}
	}
	return suites, nil
}

// halves returns the quickest tests that take a quarter of the time together, and
// the others.
func halves(byTest map[string]time.Duration) (quick, slow []string) {
	names := sorted(byTest)
	slices.SortStableFunc(names, func(a, b string) int { return int(byTest[a] - byTest[b]) })
	var all, sum time.Duration
	for _, took := range byTest {
		all += took
	}
	for i, name := range names {
		if sum += byTest[name]; sum > all/4 && i > 0 {
			return names[:i], names[i:]
		}
	}
	return names, nil
}

// exactly is a -test.run for tests, or for subtests of some.
func exactly(tests []string) string {
	var parts [2][]string
	for _, test := range tests {
		for i, part := range strings.SplitN(test, "/", 2) {
			if part = regexp.QuoteMeta(part); !slices.Contains(parts[i], part) {
				parts[i] = append(parts[i], part)
			}
		}
	}
	run := "^(" + strings.Join(parts[0], "|") + ")$"
	if len(parts[1]) > 0 {
		run += "/^(" + strings.Join(parts[1], "|") + ")$"
	}
	return run
}

// What go test says of tests that passed, and of their subtests.
var (
	passedTest    = regexp.MustCompile(`(?m)^--- PASS: (\w+) \(([0-9.]+)s\)`)
	passedSubtest = regexp.MustCompile(`(?m)^    --- PASS: (\w+/[^/\s]+) \(([0-9.]+)s\)`)
)

// passes runs a suite without a mutant and sets its timeout. It returns how long
// it took, and each of its tests.
func passes(ctx context.Context, s *suite, o options, work string) (time.Duration, map[string]time.Duration, error) {
	s.timeout = 30 * time.Minute
	binary, said, err := compile(ctx, *s, work, "")
	if err != nil {
		return 0, nil, fmt.Errorf("%s does not build: %w\n%s", s.pkg, err, said)
	}
	defer os.Remove(binary)
	began := time.Now()
	said, err = s.run(ctx, binary, "-test.v")
	if err != nil {
		return 0, nil, fmt.Errorf("the tests of %s fail as the code stands: %w\n%s", s.pkg, err, said[max(0, len(said)-4000):])
	}
	took := time.Since(began)
	if s.timeout = o.timeout; s.timeout == 0 {
		s.timeout = 10*took + 30*time.Second
	}

	passed := passedTest
	if s.below {
		passed = passedSubtest
	}
	byTest := map[string]time.Duration{}
	for _, found := range passed.FindAllStringSubmatch(string(said), -1) {
		seconds, _ := strconv.ParseFloat(found[2], 64)
		byTest[found[1]] = time.Duration(seconds * float64(time.Second))
	}
	s.tests = sorted(byTest)
	return took, byTest, nil
}

// compile makes a suite's test binary in work, and returns its path or what the
// compiler said. overlay is the go command's, or empty.
func compile(ctx context.Context, s suite, work, overlay string) (string, []byte, error) {
	binary := filepath.Join(work, "suite.test")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	said, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-gcflags=-e", "-o", binary, "-overlay", overlay, s.pkg).CombinedOutput()
	return binary, said, err
}

// run runs a suite's test binary where go test does. A mutant may eat memory
// until time is over: 4 GiB have to do, where the system has a word for it.
func (s suite) run(ctx context.Context, binary string, more ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	args := slices.Concat([]string{binary}, s.args, []string{"-test.failfast"}, more)
	if shell, err := exec.LookPath("sh"); err == nil && runtime.GOOS == "linux" {
		args = append([]string{shell, "-c", `ulimit -v 4194304; exec "$0" "$@"`}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.folder
	cmd.WaitDelay = time.Second // what the tests started may hold the pipe
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return said.Bytes(), err
}

// judge runs suites against a mutant until one fails. binaries are theirs, by
// package.
func judge(ctx context.Context, suites []suite, binaries map[string]string) (verdict, error) {
	for _, s := range suites {
		_, err := s.run(ctx, binaries[s.pkg])
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return timedOut, nil
		case err != nil:
			return killed, nil
		}
	}
	return survived, nil
}

// compileAll makes the test binaries of suites, by package, with some files of the
// tree replaced. Where one does not compile, said is why.
func compileAll(ctx context.Context, suites []suite, work string, replaced map[string]string) (binaries map[string]string, said []byte, err error) {
	overlay := filepath.Join(work, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(overlay, content, 0o600)
	}
	if err != nil {
		return nil, nil, err
	}

	binaries = map[string]string{}
	for _, s := range suites {
		if binaries[s.pkg] != "" {
			continue
		}
		folder := filepath.Join(work, strconv.Itoa(len(binaries)))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, nil, err
		}
		binary, said, err := compile(ctx, s, folder, overlay)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			return nil, append(said, ' '), nil
		}
		binaries[s.pkg] = binary
	}
	return binaries, nil, nil
}

// try returns what became of one mutant. Its files are made in work.
func try(ctx context.Context, m mutant, suites []suite, work string) (verdict, error) {
	source, err := m.source()
	if err != nil {
		return 0, err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return 0, err
	}
	mutated := filepath.Join(work, "mutant.go")
	if err := os.WriteFile(mutated, source, 0o600); err != nil {
		return 0, err
	}
	binaries, said, err := compileAll(ctx, suites, work, map[string]string{original: mutated})
	if err != nil || said != nil {
		return notCompiled, err
	}
	return judge(ctx, suites, binaries)
}
