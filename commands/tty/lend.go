package tty

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// Signals are those that end a command. While the terminal is lent to another
// program, those of the keyboard are that program's alone, which reads Ctrl-C as it
// likes: to Emacs, Ctrl-G is one.
type Signals struct {
	came chan os.Signal
	over chan struct{}
	lent atomic.Bool
}

// TakeSignals returns a context that ends with a signal that ends this command, and
// not with ctx, which knows no difference. The caller calls Stop.
func TakeSignals(ctx context.Context) (context.Context, *Signals) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Signals{came: make(chan os.Signal, 1), over: make(chan struct{})}
	signal.Notify(s.came, os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	if ctx.Err() != nil {
		cancel()
	}
	go func() {
		defer cancel()
		for {
			select {
			case <-s.over:
				return
			case got := <-s.came:
				if keyboard := got == os.Interrupt || got == syscall.SIGQUIT; !keyboard || !s.lent.Load() {
					cancel()
				}
			}
		}
	}()
	return own, s
}

// Lend calls run, which has another program use the terminal.
func (s *Signals) Lend(run func() error) error {
	s.lent.Store(true)
	defer s.lent.Store(false)
	return run()
}

// Stop ends the context, and with it the difference.
func (s *Signals) Stop() {
	signal.Stop(s.came)
	close(s.over)
}
