package tty

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const defaultMaxBytes = 1 << 20

// hiddenLine is a question whose answer is not shown, in raw mode.
type hiddenLine struct {
	*session
	editor *editor
	last   bool // Options.Last
	isRaw  bool
}

func (s *session) hidden(opt Options) (string, error) {
	limit := opt.MaxBytes
	if limit <= 0 {
		limit = defaultMaxBytes
	}

	h := &hiddenLine{session: s, editor: newEditor(limit), last: opt.Last}
	defer h.leave() // also when something below panics
	if err := h.enter(); err != nil {
		return "", err
	}
	defer func() { clear(h.editor.line) }()
	return h.edit()
}

// enter makes the terminal raw and then shows the prompt, so that nothing typed at it is echoed.
func (h *hiddenLine) enter() error {
	if err := h.dev.raw(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	h.isRaw = true

	prompt := strings.ReplaceAll(h.prompt, "\n", "\r\n")
	if h.dev.vt() {
		prompt = pasteOn + prompt
	}
	return h.dev.send(h.ctx, prompt)
}

// leave ends the line and gives the terminal back as it was.
func (h *hiddenLine) leave() {
	if !h.isRaw {
		return
	}
	h.isRaw = false
	defer h.dev.restore()

	tail := "\r\n"
	if h.dev.vt() {
		tail = pasteOff + tail
	}
	h.end(tail)
}

// edit reads until the line is settled.
func (h *hiddenLine) edit() (string, error) {
	var alone bool // nothing came for a while before this byte
	for {
		if h.ctx.Err() != nil {
			return "", ErrInterrupted
		}

		// One byte and not more: what follows the line belongs to whoever reads next.
		err := h.fill(1)
		if errors.Is(err, errWouldBlock) {
			if alone, err = h.idle(); err != nil {
				return "", err
			}
			continue
		}

		if err != nil {
			return "", fmt.Errorf("%w: cannot read from it: %w", ErrNoTerminal, err)
		}

		b := h.take()
		if b == ctrlC && alone && h.dec.state == paste && h.fill(1) != nil {
			return "", ErrInterrupted // the paste lost its end, and a person wants out
		}
		alone = false

		switch h.editor.feed(&h.dec, b) {
		case entered:
			return h.entered()
		case ended:
			return "", ErrEOF
		case interrupted:
			return "", ErrInterrupted
		case suspended:
			if err := h.suspend(); err != nil {
				return "", err
			}
		}
	}
}

func (h *hiddenLine) entered() (string, error) {
	if h.editor.tooLong {
		return "", &TooLongError{h.editor.max}
	}
	if h.last && h.dropRest() {
		return "", ErrSeveralLines
	}
	return string(h.editor.line), nil
}

// dropRest reads what came along with the line, and reports whether there was text in it.
// A paste arrives within a moment; a person does not type the next command that fast.
func (h *hiddenLine) dropRest() (more bool) {
	quiet := 20 * time.Millisecond
	for dropped := 0; dropped < h.editor.max; {
		err := h.fill(1)
		if errors.Is(err, errWouldBlock) {
			ready := h.dev.ready(forReading)
			select {
			case <-ready:
				continue
			case <-time.After(quiet):
				h.dev.cancel(ready)
				return more
			}
		}

		if err != nil {
			return more
		}

		if h.take() >= ' ' { // line ends and what stands for the end of input are no text
			more = true
			quiet = 100 * time.Millisecond
			dropped++
		}
	}

	return more
}

// idle waits for more. It reports a wait that no paste has in its middle.
func (h *hiddenLine) idle() (long bool, err error) {
	start := time.Now()
	resumed, err := h.await()
	if err == nil && resumed {
		err = h.resume()
	}
	return !resumed && time.Since(start) > time.Second, err
}

// suspend does what Ctrl-Z does in line mode.
func (h *hiddenLine) suspend() error {
	if h.cont == nil {
		return nil
	}

	h.leave()
	stop(h.cont)
	if h.ctx.Err() != nil {
		return ErrInterrupted
	}
	if err := h.dev.ours(); err != nil {
		return err
	}
	return h.enter()
}

// resume shows the prompt again after a stop without warning: what was on its line may still be there.
func (h *hiddenLine) resume() error {
	if err := h.dev.send(h.ctx, "\r"); err != nil {
		return err
	}
	return h.enter()
}
