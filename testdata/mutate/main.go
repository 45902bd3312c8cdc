// Mutate asks the tests whether they notice. It breaks the code in one small
// place, runs the package's tests, and prints the place where none of them
// failed; then it takes another place. The working tree is never touched: the
// changed file goes to the compiler as an overlay.
//
//	go run ./testdata/mutate ./scan                           # 100 places of a package
//	go run ./testdata/mutate -n 0 scan/lines.go scan/known.go # all places of some files
//	go run ./testdata/mutate -n 20 -seed 7 -with './commands:TestScripts/hooks_' ./hooks
//	go run ./testdata/mutate -n 0 -only 'match.go:80' ./scan  # those whose line matches
//	go run ./testdata/mutate -n 0 -list ./crypto              # what there is, and runs nothing
//
// The sample is the same for the same seed and the same code. What does not
// compile is not counted. A survivor is a question, no verdict: some mutants do
// what the code did, as where a cache or a short cut is left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// options are what was asked for.
type options struct {
	n        int
	seed     uint64
	parallel int
	timeout  time.Duration
	tests    string // -test.run and -test.skip of the package's own tests
	skip     string
	short    bool     // -test.short, of all
	with     []string // PACKAGE:REGEXP, run where the package's own tests notice nothing
	only     *regexp.Regexp
	list     bool
	verbose  bool
	names    []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func parse(args []string, messages io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(messages)
	flags.IntVar(&o.n, "n", 100, "so many mutants that compile, 0 for all")
	flags.Uint64Var(&o.seed, "seed", 1, "which sample")
	flags.IntVar(&o.parallel, "p", runtime.NumCPU(), "so many at once")
	flags.DurationVar(&o.timeout, "timeout", 0, "for the tests of one mutant (default: ten times what they take without one, and 30s)")
	flags.StringVar(&o.tests, "run", "", "only these of the package's own tests, as go test's -run")
	flags.StringVar(&o.skip, "skip", "", "all but these of them")
	flags.BoolVar(&o.short, "short", false, "run tests as go test -short does")
	flags.Func("with", "`PACKAGE:REGEXP`: tests of another package for what is left; may be repeated", func(value string) error {
		if !strings.Contains(value, ":") {
			return errors.New("want PACKAGE:REGEXP")
		}
		o.with = append(o.with, value)
		return nil
	})
	flags.Func("only", "mutants whose line, FILE:LINE: OLD -> NEW, matches `REGEXP`", func(value string) (err error) {
		o.only, err = regexp.Compile(value)
		return err
	})
	flags.BoolVar(&o.list, "list", false, "print the mutants and run nothing")
	flags.BoolVar(&o.verbose, "v", false, "print what was killed, too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}

	o.parallel = max(o.parallel, 1)
	o.names = flags.Args()
	if len(o.names) == 0 {
		return o, errors.New("which packages or files?")
	}
	return o, nil
}

// run prints what survives to out, FILE:LINE: OLD -> NEW, and then the sums by
// package. What a person waits for goes to messages.
func run(ctx context.Context, args []string, out, messages io.Writer) error {
	o, err := parse(args, messages)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	mutants, err := mutantsOf(o.names)
	if err != nil {
		return err
	}
	if o.only != nil {
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !o.only.MatchString(m.String()) })
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	random.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
	if o.n == 0 || o.n > len(mutants) {
		o.n = len(mutants)
	}
	if o.list {
		for _, m := range mutants[:o.n] {
			fmt.Fprintln(out, m)
		}
		return nil
	}

	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	suites, err := suitesOf(ctx, o, mutants, work, messages)
	if err != nil {
		return err
	}
	sums, err := tryAll(ctx, o, mutants, suites, work, out)
	for _, name := range sorted(sums) {
		s := sums[name]
		tried := s[killed] + s[survived] + s[timedOut]
		fmt.Fprintf(out, "%s: %d mutants, %d killed, %d survived, %d ran out of time; %d more did not compile\n",
			name, tried, s[killed], s[survived], s[timedOut], s[notCompiled])
	}
	return err
}

// verdict is what became of a mutant.
type verdict int

const (
	notCompiled verdict = iota
	killed
	survived
	timedOut // and so noticed
)

// tryAll tries mutants in their order until o.n of them compiled, and returns how
// many had each verdict, by package.
func tryAll(ctx context.Context, o options, mutants []mutant, suites map[string][]suite, work string, out io.Writer) (map[string][4]int, error) {
	var (
		mutex           sync.Mutex
		turn            = sync.NewCond(&mutex)
		next, open, had int
		failed          error
		sums            = map[string][4]int{}
		workers         sync.WaitGroup
	)
	report := func(m mutant, v verdict) {
		mutex.Lock()
		defer mutex.Unlock()
		open--
		s := sums[m.folder]
		s[v]++
		sums[m.folder] = s
		if v != notCompiled {
			had++
		}
		if v == survived {
			fmt.Fprintln(out, m)
		} else if o.verbose {
			fmt.Fprintln(out, map[verdict]string{notCompiled: "no code: ", killed: "killed: ", timedOut: "out of time: "}[v]+m.String())
		}
		turn.Broadcast()
	}
	worker := func(folder string) {
		for {
			mutex.Lock()
			for open > 0 && had+open >= o.n {
				turn.Wait() // one that is tried now may not compile
			}
			if failed != nil || next == len(mutants) || had >= o.n {
				mutex.Unlock()
				return
			}
			room := o.n - had - open
			mine := mutants[next:min(next+min(batch, (room+o.parallel-1)/o.parallel), len(mutants))]
			next += len(mine)
			open += len(mine)
			mutex.Unlock()

			if err := tryMany(ctx, mine, suites, folder, report); err != nil {
				mutex.Lock()
				failed, open = err, 0
				turn.Broadcast()
				mutex.Unlock()
				return
			}
		}
	}
	for range o.parallel {
		folder, err := os.MkdirTemp(work, "worker")
		if err != nil {
			return nil, err
		}
		workers.Go(func() { worker(folder) })
	}
	workers.Wait()
	return sums, failed
}
