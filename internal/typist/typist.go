// Package typist sits at a terminal in place of a person.
package typist

import (
	"bytes"
	"io"
)

// Watch reads what a terminal shows until it ends, and types answer and Enter each
// time that question appears. It returns all that was shown.
func Watch(terminal io.ReadWriter, question, answer string) string {
	var screen bytes.Buffer
	buffer, answered := make([]byte, 4096), 0
	for {
		n, err := terminal.Read(buffer)
		screen.Write(buffer[:n])
		if asked := bytes.Count(screen.Bytes(), []byte(question)); asked > answered {
			answered = asked
			io.WriteString(terminal, answer+"\r")
		}
		if err != nil { // Linux ends a terminal with EIO
			return screen.String()
		}
	}
}
