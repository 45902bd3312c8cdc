// Package tty asks a person questions on the terminal itself.
//
// It opens the controlling terminal (/dev/tty; CONIN$ and CONOUT$ on Windows), so a prompt works
// when standard input is a pipe or closed and never mixes with what a command prints.
//
// # Visible answers
//
// A folder, a name, a yes: the terminal stays in its own line mode, echoes and edits as everywhere,
// and hands over a line. Since line mode cuts a longer one without a word (at 1,024 bytes on macOS),
// more than 1,000 bytes are a [TooLongError].
//
// # Hidden answers
//
// A value may be longer than that and have lines of its own, so [Terminal.Ask] switches to raw mode
// before the prompt is printed and edits the line itself:
//
//	Enter                 ends the line (CR, LF or CRLF)
//	Backspace, Delete     remove one character
//	Ctrl-U, Ctrl-W        remove everything, the last word
//	Ctrl-D                end of input, on an empty line; elsewhere ignored
//	Ctrl-C, Ctrl-\        give up: [ErrInterrupted]
//	Ctrl-Z                suspends, with the terminal as it was; the prompt returns on continue
//	Tab                   is text; other control characters and escape sequences are ignored
//
// Every other byte is text and is returned as it came, spaces at both ends and invalid UTF-8
// included. ESC followed by a plain character is that character: a person who pressed Escape before
// a hidden value must not lose the first letter of it.
//
// Bracketed paste is switched on unless TERM is empty or "dumb". A pasted block is content: its
// newlines are kept as LF (one at its end is dropped) and its control characters as they are; Enter
// ends the line as ever. Without bracketed paste every newline does; with [Options].Last, text behind
// it refuses the answer.
//
// # Type-ahead
//
// Input is never flushed, and on Unix never read beyond the end of the line: what was typed ahead
// stays with the terminal, for the next prompt, the next process or the shell. What is typed while
// no hidden prompt is open is in line mode: the terminal echoes it and applies its own limit.
//
// # Signals and modes
//
// The modes are restored when Ask returns or panics, and on SIGINT, SIGTERM, SIGHUP and SIGQUIT, which
// Ask catches while it runs (unless they are ignored) and returns as [ErrInterrupted]: the caller
// decides how to exit. After a stop that cannot be foreseen (SIGSTOP, SIGTSTP from another process)
// the shell sets its own modes; the prompt returns on continue. In a background process group Open and
// Ask return [ErrNoTerminal] instead of being stopped by SIGTTIN or SIGTTOU, also when a suspended
// prompt is continued there.
//
// # Windows
//
// Input is read as UTF-16 and returned as UTF-8; both console modes are restored. Ctrl-Break and
// closing the window interrupt; there is no background. At a hidden prompt Ctrl-Z is ignored, at a
// visible one Ctrl-Z and Enter are the end of input. The console offers no read that can be called
// off: after a cancelled context one reader stays behind and hands what it reads to the next Ask of
// the same Terminal. Input is read in blocks, so what was typed ahead is kept for that Terminal only.
// Bracketed paste needs a console that understands escape sequences (Windows 10 and later). In mintty
// without winpty there is no console: [ErrNoTerminal].
package tty
