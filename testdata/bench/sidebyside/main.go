// Sidebyside times commands against each other:
//
//	sidebyside [-rounds N] [-warm N] ::: [FLAGS] COMMAND [ARG...] ::: [FLAGS] COMMAND [ARG...] ...
//
// In each round every command runs once, and each round starts with another
// one, so that a busy machine is unfair to all alike. It prints for every
// command the median and the least wall time, the median processor time, and
// the ratio of its median to the first command's.
//
// Flags of one command: -name TEXT for the table, -dir DIR to run in, -stdin
// TEXT to read, and what was promised: -within X (takes at most X times as long
// as the first) or -faster X (the first takes at least X times as long). {n} in
// -stdin and in arguments becomes the number of the run, which makes each write
// a real change.
//
// Exit codes: 0; 1 a promise does not hold; 2 wrong use; 3 a command failed.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "sidebyside:", err)
	switch {
	case errors.Is(err, errBroken):
		os.Exit(1)
	case errors.Is(err, errUsage):
		os.Exit(2)
	}
	os.Exit(3)
}

var (
	errBroken = errors.New("a promise does not hold")
	errUsage  = errors.New("wrong use")
)

// separator stands in front of each command.
const separator = ":::"

// maxStdin fits into every system's pipe, so that it can be written before the
// command starts and costs its run nothing.
const maxStdin = 4096

// contender is one command and how long its runs took.
type contender struct {
	name, dir, stdin string
	within, faster   float64 // promises; 0: none
	argv             []string

	wall, cpu []time.Duration
}

func run(args []string, out io.Writer) error {
	parts := split(args)
	flags := flag.NewFlagSet("sidebyside", flag.ContinueOnError)
	rounds := flags.Int("rounds", 100, "how often each command is timed")
	warm := flags.Int("warm", 3, "how often each command runs before that")
	if err := flags.Parse(parts[0]); err != nil || flags.NArg() > 0 || *rounds < 1 || len(parts) < 2 {
		return fmt.Errorf("%w: want [-rounds N] [-warm N], then '%s' and a command, once or more", errUsage, separator)
	}
	var all []*contender
	for _, part := range parts[1:] {
		c, err := parse(part)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for round := range *warm + *rounds {
		for i := range all {
			c := all[(i+round)%len(all)]
			if err := c.time(round, round >= *warm); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return report(out, all)
}

// split cuts the arguments at the separators. There is always a first part.
func split(args []string) [][]string {
	parts := [][]string{nil}
	for _, arg := range args {
		if arg == separator {
			parts = append(parts, nil)
			continue
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], arg)
	}
	return parts
}

func parse(args []string) (*contender, error) {
	c := &contender{}
	flags := flag.NewFlagSet(separator, flag.ContinueOnError)
	flags.StringVar(&c.name, "name", "", "what the table calls it")
	flags.StringVar(&c.dir, "dir", "", "the folder it runs in")
	flags.StringVar(&c.stdin, "stdin", "", "what it reads")
	flags.Float64Var(&c.within, "within", 0, "takes at most this many times as long as the first")
	flags.Float64Var(&c.faster, "faster", 0, "the first takes at least this many times as long")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 || len(c.stdin) > maxStdin-20 {
		return nil, fmt.Errorf("%w: each '%s' needs a command, and at most %d bytes of -stdin", errUsage, separator, maxStdin)
	}
	c.argv = flags.Args()
	if c.name == "" {
		c.name = strings.Join(c.argv, " ")
	}
	return c, nil
}

// time runs the command once and, if it counts, notes how long that took.
func (c *contender) time(n int, counts bool) error {
	numbered := strings.NewReplacer("{n}", strconv.Itoa(n))
	argv := make([]string, len(c.argv))
	for i, arg := range c.argv {
		argv[i] = numbered.Replace(arg)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = c.dir
	stdin, err := filled(numbered.Replace(c.stdin))
	if err != nil {
		return err
	}
	defer stdin.Close()
	cmd.Stdin = stdin
	var complaint bytes.Buffer
	if !counts {
		// Reading a pipe would cost the timed runs a goroutine; what fails, fails
		// in the first run.
		cmd.Stderr = &complaint
	}
	start := time.Now()
	err = cmd.Run()
	took := time.Since(start)
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	if counts {
		c.wall = append(c.wall, took)
		c.cpu = append(c.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	return nil
}

// filled returns the reading end of a pipe that holds text and nothing more.
func filled(text string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if _, err := w.WriteString(text); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func report(out io.Writer, all []*contender) error {
	var broken error
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "median ms\tmin ms\tcpu ms\tratio\t  %s\n", "command")
	first := median(all[0].wall)
	for _, c := range all {
		own := median(c.wall)
		verdict := ""
		if promise, kept := c.judge(first, own); promise != "" {
			verdict = fmt.Sprintf("   PASS (%s)", promise)
			if !kept {
				verdict = fmt.Sprintf("   FAIL (%s)", promise)
				broken = errBroken
			}
		}
		fmt.Fprintf(table, "%.2f\t%.2f\t%.2f\t%.3f\t  %s%s\n",
			ms(own), ms(slices.Min(c.wall)), ms(median(c.cpu)), float64(own)/float64(first), c.name, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return broken
}

// judge says in words what was promised, with the figure that was measured.
func (c *contender) judge(first, own time.Duration) (promise string, kept bool) {
	switch {
	case c.within > 0:
		ratio := float64(own) / float64(first)
		return fmt.Sprintf("%.2fx the first; promised: at most %gx", ratio, c.within), ratio <= c.within
	case c.faster > 0:
		times := float64(first) / float64(own)
		return fmt.Sprintf("%.1fx as fast as the first; promised: at least %gx", times, c.faster), times >= c.faster
	}
	return "", true
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
