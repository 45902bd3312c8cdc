package tty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// session is one question on its way.
type session struct {
	*Terminal
	ctx    context.Context
	prompt string
	last   bool // Options.Last
	editor *editor
	screen *screen
	quit   chan os.Signal // terminating signals
	cont   chan os.Signal // the process continues; nil where none can stop
	isRaw  bool
	out    bytes.Buffer // to be written before waiting for input
}

func (t *Terminal) ask(ctx context.Context, prompt string, opt Options) (answer string, err error) {
	if ctx.Err() != nil {
		return "", ErrInterrupted
	}
	if err := t.dev.ours(); err != nil {
		return "", err
	}
	s := &session{Terminal: t, ctx: ctx, prompt: prompt, last: opt.Last}
	if !opt.Hidden {
		s.screen = &screen{prompt: prompt[strings.LastIndexByte(prompt, '\n')+1:], cols: t.dev.cols}
	}
	s.editor = newEditor(opt.MaxBytes, s.screen)
	// Signals first: from the moment the modes change, none may end the process by itself.
	s.quit = subscribe(terminating())
	defer signal.Stop(s.quit)
	s.cont = subscribe(continued())
	defer signal.Stop(s.cont)

	defer s.leave() // also when something below panics
	if err := s.enter(); err != nil {
		return "", err
	}
	answer, err = s.edit()
	clear(s.editor.line)
	s.leave()

	signal.Stop(s.quit)
	if len(s.quit) > 0 { // it came with the last key; nobody else has seen it
		return "", ErrInterrupted
	}
	return answer, err
}

// subscribe returns nil when there is nothing to wait for. An ignored signal (nohup) stays ignored.
func subscribe(signals []os.Signal) chan os.Signal {
	var wanted []os.Signal
	for _, s := range signals {
		if !signal.Ignored(s) {
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 { // to Notify, none means all
		return nil
	}
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, wanted...)
	return ch
}

// enter makes the terminal raw and then shows the prompt, so that nothing typed at it is echoed.
func (s *session) enter() error {
	if err := s.dev.raw(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	s.isRaw = true
	if s.dev.vt() {
		s.out.WriteString(pasteOn)
	}
	s.out.WriteString(strings.ReplaceAll(s.prompt, "\n", "\r\n"))
	if s.screen != nil {
		s.screen.vt = s.dev.vt()
		s.editor.redraw()
	}
	return s.flush()
}

// leave ends the line and gives the terminal back as it was. It is bounded in time: the terminal may
// have stopped to take output, and whoever sent the signal waits.
func (s *session) leave() {
	if !s.isRaw {
		return
	}
	s.isRaw = false
	defer s.dev.restore()
	if s.dev.ours() != nil {
		return
	}
	s.collect()
	if s.dev.vt() {
		s.out.WriteString(pasteOff)
	}
	s.out.WriteString("\r\n")
	deadline := time.After(200 * time.Millisecond)
	for s.out.Len() > 0 {
		n, err := s.dev.write(s.out.Bytes())
		s.out.Next(n)
		switch {
		case errors.Is(err, errWouldBlock):
			ready := s.dev.ready(forWriting)
			select {
			case <-ready:
			case <-deadline:
				s.dev.cancel(ready)
				s.out.Reset()
			}
		case err != nil:
			s.out.Reset()
		}
	}
}

// edit reads until the line is settled.
func (s *session) edit() (string, error) {
	var alone bool // nothing came for a while before this byte
	for {
		if s.isInterrupted() {
			return "", ErrInterrupted
		}
		b, err := s.readByte()
		if errors.Is(err, errWouldBlock) {
			if alone, err = s.idle(); err != nil {
				return "", err
			}
			continue
		}
		if err != nil {
			return "", fmt.Errorf("%w: cannot read from it: %w", ErrNoTerminal, err)
		}
		if b == ctrlC && alone && s.dec.inPaste() && s.isDrained() {
			return "", ErrInterrupted // the paste lost its end, and a person wants out
		}
		alone = false

		switch _, o := s.editor.feed(&s.dec, []byte{b}); o {
		case entered:
			s.closePaste()
			if s.editor.tooLong {
				return "", &TooLongError{s.editor.max}
			}
			if s.last && s.dropRest() {
				return "", ErrSeveralLines
			}
			return string(s.editor.line), nil
		case ended:
			return "", ErrEOF
		case interrupted:
			return "", ErrInterrupted
		case suspended:
			if err := s.suspend(); err != nil {
				return "", err
			}
		}
		if s.screen != nil && s.screen.out.Len() >= 4096 {
			if err := s.flush(); err != nil {
				return "", err
			}
		}
	}
}

// readByte reads one byte and not more: what follows the line belongs to whoever reads next.
func (t *Terminal) readByte() (byte, error) {
	if len(t.unread) > 0 {
		b := t.unread[0]
		t.unread = t.unread[1:]
		return b, nil
	}
	var b [1]byte
	_, err := t.dev.read(b[:])
	return b[0], err
}

// isDrained looks whether more input is there already.
func (t *Terminal) isDrained() bool {
	b, err := t.readByte()
	if err != nil {
		return true
	}
	t.unread = append([]byte{b}, t.unread...)
	return false
}

// closePaste takes in the end of a paste whose last newline ended the line: left to the shell, it
// would show there as "201~".
func (s *session) closePaste() {
	deadline := time.After(50 * time.Millisecond)
	for s.dec.inPaste() {
		b, err := s.readByte()
		switch {
		case errors.Is(err, errWouldBlock):
			ready := s.dev.ready(forReading)
			select {
			case <-ready:
			case <-deadline:
				s.dev.cancel(ready)
				return
			}
		case err != nil:
			return
		case !s.dec.closesPaste(b):
			s.unread = append([]byte{b}, s.unread...)
			return
		default:
			s.dec.next(b)
		}
	}
}

// dropRest reads what came along with the line, and reports whether there was text in it.
// A paste arrives within a moment; a person does not type the next command that fast.
func (s *session) dropRest() (more bool) {
	quiet := 20 * time.Millisecond
	for dropped := 0; dropped < s.editor.max; {
		b, err := s.readByte()
		switch {
		case errors.Is(err, errWouldBlock):
			ready := s.dev.ready(forReading)
			select {
			case <-ready:
			case <-time.After(quiet):
				s.dev.cancel(ready)
				return more
			}
		case err != nil:
			return more
		case b >= ' ': // line ends and what stands for the end of input are no text
			more = true
			quiet = 100 * time.Millisecond
			dropped++
		}
	}
	return more
}

func (s *session) isInterrupted() bool {
	select {
	case <-s.quit:
		return true
	default:
		return s.ctx.Err() != nil
	}
}

// idle shows what was typed and waits for more. It reports a wait that no paste has in its middle.
func (s *session) idle() (long bool, err error) {
	if err := s.flush(); err != nil {
		return false, err
	}
	start := time.Now()
	done := s.ctx.Done()
	ready := s.dev.ready(forReading)
	select {
	case <-ready:
		// Stopped and continued elsewhere, we may learn of the input before the signal.
		return time.Since(start) > time.Second, s.dev.ours()
	case <-done:
	case <-s.quit:
	case <-s.cont:
		s.dev.cancel(ready)
		return false, s.resume()
	}
	s.dev.cancel(ready)
	return false, ErrInterrupted
}

func (s *session) suspend() error {
	if s.cont == nil {
		return nil
	}
	s.leave()
	stop(s.cont)
	if s.isInterrupted() {
		return ErrInterrupted
	}
	return s.resume()
}

func (s *session) resume() error {
	if err := s.dev.ours(); err != nil {
		return err
	}
	if s.isRaw { // stopped without warning: what was on this line may still be there
		s.out.WriteString("\r")
	}
	return s.enter()
}

func (s *session) collect() {
	if s.screen != nil {
		_, _ = s.screen.out.WriteTo(&s.out)
	}
}

func (s *session) flush() error {
	s.collect()
	done := s.ctx.Done()
	for s.out.Len() > 0 {
		n, err := s.dev.write(s.out.Bytes())
		s.out.Next(n)
		switch {
		case errors.Is(err, errWouldBlock):
			ready := s.dev.ready(forWriting)
			select {
			case <-ready:
				continue
			case <-done:
			case <-s.quit:
			}
			s.dev.cancel(ready)
			return ErrInterrupted
		case err != nil:
			return fmt.Errorf("%w: cannot write to it: %w", ErrNoTerminal, err)
		}
	}
	return nil
}
