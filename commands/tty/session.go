package tty

import (
	"context"
	"os"
	"os/signal"
	"time"
)

// session is one question on its way.
type session struct {
	*Terminal
	ctx    context.Context // ends at a terminating signal, too
	prompt string
	cont   chan os.Signal // the process continues; nil where none can stop
}

func (t *Terminal) ask(ctx context.Context, prompt string, opt Options) (string, error) {
	// Signals first: from the moment the modes change, none may end the process by itself.
	ctx, stop := untilSignal(ctx)
	defer stop()

	s := &session{Terminal: t, ctx: ctx, prompt: prompt}
	if signals := heeded(continued()); len(signals) > 0 {
		s.cont = make(chan os.Signal, 8)
		signal.Notify(s.cont, signals...)
		defer signal.Stop(s.cont)
	}

	if ctx.Err() != nil {
		return "", ErrInterrupted
	}
	if err := t.dev.ours(); err != nil {
		return "", err
	}

	read := s.visible
	if opt.Hidden {
		read = func() (string, error) { return s.hidden(opt) }
	}

	answer, err := read()
	if err == nil && ctx.Err() != nil { // it came with the last key
		return "", ErrInterrupted
	}
	return answer, err
}

// untilSignal returns a context that ends at a terminating signal.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	signals := heeded(terminating())
	if len(signals) == 0 { // to NotifyContext, none means all
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, signals...)
}

// heeded leaves out what is ignored (nohup): it stays so.
func heeded(signals []os.Signal) (heeded []os.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			heeded = append(heeded, s)
		}
	}
	return heeded
}

// await waits for input. It tells whether the process was stopped meanwhile and now continues.
func (s *session) await() (resumed bool, err error) {
	ready := s.dev.ready(forReading)
	select {
	case <-ready:
		// Stopped and continued elsewhere, we may learn of the input before the signal.
		return false, s.dev.ours()
	case <-s.cont:
		s.dev.cancel(ready)
		return true, s.dev.ours()
	case <-s.ctx.Done():
		s.dev.cancel(ready)
		return false, ErrInterrupted
	}
}

// end writes what ends a question that has no more time: the terminal may have stopped to take
// output, and whoever sent the signal waits.
func (s *session) end(text string) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()

	if s.dev.ours() == nil {
		_ = s.dev.send(ctx, text)
	}
}
