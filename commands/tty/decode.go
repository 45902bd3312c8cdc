package tty

// A key is what a person did: typed a byte of text, pasted one, or pressed a key with a meaning.
type key struct {
	kind keyKind
	b    byte // of keyText and keyPasted
}

type keyKind uint8

const (
	keyText keyKind = iota
	keyPasted
	keyPastedNewline
	keyPasteEnd
	keyEnter
	keyErase
	keyEraseLine
	keyEraseWord
	keyEOF
	keyInterrupt
	keySuspend
)

const (
	ctrlC = 0x03
	esc   = 0x1b
	del   = 0x7f

	pasteOn  = "\x1b[?2004h"
	pasteOff = "\x1b[?2004l"
	pasteEnd = "\x1b[201~"
)

// pasteStart holds the parameters of the sequence ESC [ 200 ~, which opens a paste.
const pasteStart = "200"

type decodeState uint8

const (
	ground        decodeState = iota
	escape                    // after ESC
	csi                       // after ESC [
	csiLinux                  // after ESC [ [, a function key of the Linux console
	ss3                       // after ESC O
	controlString             // after ESC ] or ESC P: a late answer to another program's query
	stringEscape              // after ESC in one, where a \ ends it
	paste
)

// decoder turns the terminal's bytes into keys, following ECMA-48 as far as a keyboard speaks it. It
// uses no time-outs, so that a slow line means the same as a fast one. A control character ends any
// sequence it does not belong to: Enter and Ctrl-C always work.
type decoder struct {
	state   decodeState
	params  [len(pasteStart)]byte
	nparams int
	matched int  // bytes of pasteEnd seen and held back
	afterCR bool // a LF now belongs to the CR before
	keys    [len(pasteEnd) + 1]key
}

// next decodes one byte. The keys are valid until the next call. A line end is the last of them.
func (d *decoder) next(b byte) []key {
	keys := d.keys[:0]
	if b == '\n' && d.afterCR {
		d.afterCR = false
		return keys
	}

	d.afterCR = b == '\r'

	switch d.state {
	case paste:
		return d.pasted(keys, b)
	case escape:
		return d.afterEscape(keys, b)
	case csi:
		return d.controlSequence(keys, b)
	case csiLinux, ss3:
		d.state = ground
		if b >= 0x20 && b < del {
			return keys
		}
	case controlString:
		switch {
		case b >= 0x20 && b != del:
			return keys
		case b == '\a':
			d.state = ground
			return keys
		case b == esc:
			d.state = stringEscape
			return keys
		}

		d.state = ground
	case stringEscape:
		if b != '\\' {
			return d.afterEscape(keys, b)
		}
		d.state = ground
		return keys
	}

	return d.typed(keys, b)
}

func (d *decoder) typed(keys []key, b byte) []key {
	switch b {
	case ctrlC, 0x1c:
		return append(keys, key{kind: keyInterrupt})
	case 0x04:
		return append(keys, key{kind: keyEOF})
	case '\b', del:
		return append(keys, key{kind: keyErase})
	case '\r', '\n':
		return append(keys, key{kind: keyEnter})
	case 0x15:
		return append(keys, key{kind: keyEraseLine})
	case 0x17:
		return append(keys, key{kind: keyEraseWord})
	case 0x1a:
		return append(keys, key{kind: keySuspend})
	case esc:
		d.state = escape
		return keys
	}

	if isControl(b) {
		return keys
	}
	return append(keys, key{keyText, b})
}

func (d *decoder) afterEscape(keys []key, b byte) []key {
	d.state = ground
	switch b {
	case '[':
		d.state, d.nparams = csi, 0
	case 'O':
		d.state = ss3
	case ']', 'P':
		d.state = controlString
	default:
		return d.typed(keys, b)
	}
	return keys
}

func (d *decoder) controlSequence(keys []key, b byte) []key {
	switch {
	case b >= 0x20 && b < 0x40:
		if d.nparams < len(d.params) {
			d.params[d.nparams] = b
		}
		d.nparams++
		return keys
	case b == '[' && d.nparams == 0:
		d.state = csiLinux
		return keys
	case b == '~' && d.nparams == len(pasteStart) && string(d.params[:]) == pasteStart:
		d.state, d.matched = paste, 0
		return keys
	}

	d.state = ground
	if b >= 0x40 && b < del {
		return keys
	}
	return d.typed(keys, b)
}

func (d *decoder) pasted(keys []key, b byte) []key {
	if b == pasteEnd[d.matched] {
		d.matched++
		if d.matched == len(pasteEnd) {
			d.state = ground
			return append(keys, key{kind: keyPasteEnd})
		}

		return keys
	}

	for _, held := range []byte(pasteEnd[:d.matched]) {
		keys = append(keys, key{keyPasted, held})
	}
	d.matched = 0
	switch b {
	case esc: // pasteEnd holds no other ESC, so a mismatch can only begin it anew
		d.matched = 1
	case '\r', '\n':
		keys = append(keys, key{kind: keyPastedNewline})
	default:
		keys = append(keys, key{keyPasted, b})
	}
	return keys
}

// isControl reports a C0 control character that is not text.
func isControl(b byte) bool {
	return b < 0x20 && b != '\t' || b == del
}
