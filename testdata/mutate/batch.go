package main

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// batch is how many mutants are compiled into one program at most: most of the
// time would otherwise go to the compiler and the linker.
const batch = 100

// switches is what decides which mutant a program has: the number in a file, for
// tests start the program that they test with an environment of their own. Where a
// folder stands there in its place, the program has none, and leaves a file in it
// for each that a run comes by.
const switches = `package %s

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

var mutantNumber, mutantFolder = func() (int, string) {
	content, _ := os.ReadFile(%q)
	if number, err := strconv.Atoi(string(content)); err == nil {
		return number, ""
	}
	return -1, string(content)
}()

var mutantsReached sync.Map

func mutantIs(number int) bool {
	if mutantFolder != "" {
		if _, known := mutantsReached.LoadOrStore(number, true); !known {
			os.WriteFile(filepath.Join(mutantFolder, strconv.Itoa(number)), nil, 0o666)
		}
	}
	return number == mutantNumber
}

func mutantOperand[T any](on bool, old, new T) T {
	if on {
		return new
	}
	return old
}
`

// tryMany tries mutants and reports each. Those that do not stand in each other's way
// share a program; what cannot be had that way gets its own.
func tryMany(ctx context.Context, mutants []mutant, suites map[string][]suite, work string, report func(mutant, verdict)) error {
	var alone []mutant
	for left := slices.Clone(mutants); len(left) > 0; {
		var together, later []mutant
		for _, m := range left {
			switch {
			case m.kind == fixed:
				alone = append(alone, m)
			case slices.ContainsFunc(together, m.overlaps):
				later = append(later, m)
			default:
				together = append(together, m)
			}
		}
		left = later
		refused, err := tryTogether(ctx, together, suites, work, report)
		if err != nil {
			return err
		}
		alone = append(alone, refused...)
	}

	for _, m := range alone {
		v, err := try(ctx, m, suites[m.folder], work)
		if err != nil {
			return err
		}
		report(m, v)
	}
	return nil
}

func (m mutant) overlaps(other mutant) bool {
	return m.file == other.file && m.start < other.end && other.start < m.end
}

// What a compiler's error names: the mutant that it is in, or a file, where a mutant
// is the cause of what is wrong elsewhere.
var (
	namesMutant = regexp.MustCompile(`\bmutant(\d+):\d+`)
	namesFile   = regexp.MustCompile(`(?m)^(?:\S*[/\\])?([\w.]+\.go):\d+`)
)

// tryTogether tries mutants in one program. It returns those that do not compile in
// there.
func tryTogether(ctx context.Context, mutants []mutant, suites map[string][]suite, work string, report func(mutant, verdict)) (refused []mutant, err error) {
	for len(mutants) > 0 {
		number := filepath.Join(work, "number")
		replaced, err := programOf(mutants, work, number)
		if err != nil {
			return nil, err
		}
		binaries, said, err := compileAll(ctx, ofAll(mutants, suites), work, replaced)
		if err != nil {
			return nil, err
		}
		if said == nil {
			reaching, err := reach(ctx, mutants, suites, binaries, number, work)
			if err != nil {
				return nil, err
			}
			for i, m := range mutants {
				if err := os.WriteFile(number, []byte(strconv.Itoa(i)), 0o600); err != nil {
					return nil, err
				}
				v, err := judge(ctx, reaching[i], binaries)
				if err != nil {
					return nil, err
				}
				report(m, v)
			}
			return refused, nil
		}

		named := map[int]bool{}
		for _, found := range namesMutant.FindAllSubmatch(said, -1) {
			i, _ := strconv.Atoi(string(found[1]))
			named[i] = true
		}
		inFile := map[string]bool{}
		for _, found := range namesFile.FindAllSubmatch(said, -1) {
			inFile[string(found[1])] = true
		}
		for i, m := range mutants {
			if inFile[filepath.Base(m.file)] {
				named[i] = true
			}
		}
		var others []mutant
		for i, m := range mutants {
			if named[i] || len(named) == 0 {
				refused = append(refused, m)
			} else {
				others = append(others, m)
			}
		}
		mutants = others
	}
	return refused, nil
}

// reach returns the suites for each of a program's mutants: of each suite the tests
// that come by its place. It runs every test by itself, without a mutant.
func reach(ctx context.Context, mutants []mutant, suites map[string][]suite, binaries map[string]string, number, work string) ([][]suite, error) {
	reaching := make([][]suite, len(mutants))
	folder := filepath.Join(work, "reached")
	if err := os.WriteFile(number, []byte(folder), 0o600); err != nil {
		return nil, err
	}
	for _, s := range ofAll(mutants, suites) {
		tests := make([][]string, len(mutants))
		for _, test := range s.tests {
			if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err != nil {
				return nil, err
			}
			s.only([]string{test}).run(ctx, binaries[s.pkg]) // one that needs another to run first may fail
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			for i := range mutants {
				if _, err := os.Stat(filepath.Join(folder, strconv.Itoa(i))); err == nil {
					tests[i] = append(tests[i], test)
				}
			}
		}
		for i, m := range mutants {
			if len(tests[i]) > 0 && slices.ContainsFunc(suites[m.folder], s.is) {
				reaching[i] = append(reaching[i], s.only(tests[i]))
			}
		}
	}
	return reaching, nil
}

// ofAll returns the suites of mutants, each once: those of their own packages, by
// folder, and then those that are asked of all.
func ofAll(mutants []mutant, suites map[string][]suite) (all []suite) {
	folders := map[string]bool{}
	for _, m := range mutants {
		folders[m.folder] = true
	}
	for _, others := range []bool{false, true} {
		for _, folder := range sorted(folders) {
			for _, s := range suites[folder] {
				if (s.folder != folder) == others && !slices.ContainsFunc(all, s.is) {
					all = append(all, s)
				}
			}
		}
	}
	return all
}

// programOf writes the files of a program that has all the mutants, each where the
// file number holds its own, and returns what they stand for. A compiler's error
// names the mutant.
func programOf(mutants []mutant, work, number string) (map[string]string, error) {
	byFile := map[string][]int{}
	for i, m := range mutants {
		byFile[m.file] = append(byFile[m.file], i)
	}

	replaced, folders := map[string]string{}, map[string]bool{}
	for _, file := range sorted(byFile) {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if folder := filepath.Dir(file); !folders[folder] {
			folders[folder] = true
			parsed, err := parser.ParseFile(token.NewFileSet(), file, content, parser.PackageClauseOnly)
			if err != nil {
				return nil, err
			}
			if err := replace(replaced, filepath.Join(folder, "zz_mutants.go"), work, fmt.Appendf(nil, switches, parsed.Name, number)); err != nil {
				return nil, err
			}
		}

		all := byFile[file]
		slices.SortFunc(all, func(a, b int) int { return mutants[b].start - mutants[a].start })
		for _, i := range all {
			m := mutants[i]
			guarded := m.guarded(fmt.Sprintf("mutantIs(%d)", i), string(content[m.start:m.end]))
			content = slices.Concat(content[:m.start], fmt.Appendf(nil, "/*line mutant%d:1:1*/%s/*line %s:%d:1*/", i, guarded, filepath.Base(file), m.line), content[m.end:])
		}
		if err := replace(replaced, file, work, content); err != nil {
			return nil, err
		}
	}
	return replaced, nil
}

// replace has content stand for a file of the tree.
func replace(replaced map[string]string, file, work string, content []byte) error {
	original, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	replaced[original] = filepath.Join(work, fmt.Sprintf("file%d.go", len(replaced)))
	return os.WriteFile(replaced[original], content, 0o600)
}
