package tty

import (
	"errors"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

const lineEnd = "\r\n"

// errWouldBlock says that the console has nothing to read.
const errWouldBlock = windows.WSAEWOULDBLOCK

// device is the console, through handles of its own: standard input and output may be redirected.
type device struct {
	in, out windows.Handle
	saved   *term.State
	outMode uint32 // to restore, where vtOut
	vtOut   bool

	// reading is closed when the read under way has put its result into fresh and err. A console read
	// cannot be called off, so it may outlive the question that started it.
	reading chan struct{}
	fresh   []uint16
	err     error
	pending []byte // read, decoded, not yet asked for
	half    uint16 // first half of a surrogate pair
}

func openDevice() (*device, error) {
	in, err := openConsole("CONIN$")
	if err != nil {
		return nil, err
	}
	out, err := openConsole("CONOUT$")
	if err != nil {
		_ = windows.CloseHandle(in)
		return nil, err
	}
	return &device{in: in, out: out}, nil
}

func openConsole(name string) (windows.Handle, error) {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	h, err := windows.CreateFile(path, windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return h, nil
}

func (d *device) close() error {
	if d.reading != nil {
		select {
		case <-d.reading:
		default:
			// Closing the handle under a read may wait for it; the process is about to end.
			return windows.CloseHandle(d.out)
		}
	}
	return errors.Join(windows.CloseHandle(d.in), windows.CloseHandle(d.out))
}

// ours: a console has no background.
func (d *device) ours() error { return nil }

func (d *device) raw() error {
	state, err := term.MakeRaw(int(d.in))
	if err != nil {
		return err
	}
	if d.saved == nil {
		d.saved = state
		d.vtOut = windows.GetConsoleMode(d.out, &d.outMode) == nil &&
			windows.SetConsoleMode(d.out, d.outMode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
	}
	return nil
}

func (d *device) restore() {
	if d.saved == nil {
		return
	}
	_ = term.Restore(int(d.in), d.saved)
	if d.vtOut {
		_ = windows.SetConsoleMode(d.out, d.outMode)
	}
	d.saved = nil
}

// vt is known in raw mode only.
func (d *device) vt() bool { return d.vtOut }

func (d *device) read(p []byte) (int, error) {
	if len(d.pending) == 0 && d.reading != nil {
		select {
		case <-d.reading:
			d.reading = nil
			if d.err != nil {
				return 0, d.err
			}
			d.decode()
		default:
		}
	}

	if len(d.pending) == 0 {
		return 0, errWouldBlock
	}
	n := copy(p, d.pending)
	clear(d.pending[:n])
	d.pending = d.pending[n:]
	return n, nil
}

// decode turns the UTF-16 that was read into UTF-8. A lone surrogate becomes U+FFFD.
func (d *device) decode() {
	units := d.fresh
	if d.half != 0 {
		units = append([]uint16{d.half}, units...)
		d.half = 0
	}
	if n := len(units); n > 0 && units[n-1] >= 0xd800 && units[n-1] < 0xdc00 {
		d.half = units[n-1]
		units = units[:n-1]
	}
	for _, r := range utf16.Decode(units) {
		d.pending = utf8.AppendRune(d.pending, r)
	}
	clear(d.fresh)
}

func (d *device) write(p []byte) (int, error) {
	units := utf16.Encode([]rune(string(p)))
	for len(units) > 0 {
		var n uint32

		// Older consoles refuse more than 64 KiB at once.
		chunk := units[:min(len(units), 8192)]
		if err := windows.WriteConsole(d.out, &chunk[0], uint32(len(chunk)), &n, nil); err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, io.ErrShortWrite
		}
		units = units[n:]
	}
	return len(p), nil
}

type direction bool

const (
	forReading direction = false
	forWriting direction = true
)

func (d *device) ready(dir direction) <-chan struct{} {
	if dir == forWriting || len(d.pending) > 0 {
		now := make(chan struct{})
		close(now)
		return now
	}

	if d.reading == nil {
		done := make(chan struct{})
		d.reading = done
		go func() {
			defer close(done)
			units := make([]uint16, 1024)
			var n uint32
			d.err = windows.ReadConsole(d.in, &units[0], uint32(len(units)), &n, nil)
			d.fresh = units[:n]
		}()
	}
	return d.reading
}

// cancel leaves the read to the next question.
func (d *device) cancel(<-chan struct{}) {}
