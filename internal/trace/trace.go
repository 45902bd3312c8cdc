// Package trace says, line by line, what a command, a hook or a merge driver looked
// at and decided. It goes with the context; where nobody asked for it nothing is
// said. What it is given must never be a value: names, paths, fingerprints, numbers.
package trace

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

type log struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	begun time.Time
}

type key struct{}

// To gives a context whose trace goes to a writer. Times count from now on.
func To(ctx context.Context, out io.Writer, now func() time.Time) context.Context {
	return context.WithValue(ctx, key{}, &log{out: out, now: now, begun: now()})
}

func of(ctx context.Context) *log {
	if ctx == nil {
		return nil
	}
	l, _ := ctx.Value(key{}).(*log)
	return l
}

// Say writes one line, behind the milliseconds since the start.
func Say(ctx context.Context, format string, args ...any) {
	l := of(ctx)
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "trace: %8.1f ms  %s\n", float64(l.now().Sub(l.begun).Microseconds())/1000, fmt.Sprintf(format, args...))
}

// Timed is Say for something that takes time: what is said when it ends says how
// long it took.
func Timed(ctx context.Context) (say func(format string, args ...any)) {
	l := of(ctx)
	if l == nil {
		return func(string, ...any) {}
	}
	begun := l.now()
	return func(format string, args ...any) {
		Say(ctx, "%s, %.1f ms", fmt.Sprintf(format, args...), float64(l.now().Sub(begun).Microseconds())/1000)
	}
}
