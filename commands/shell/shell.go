// Package shell writes commands for the shell that a person types in: a POSIX one,
// or on Windows cmd or PowerShell. Its words are those that both of the latter take,
// where there are such: move, del, copy and dir are commands of the one and aliases
// in the other.
package shell

import (
	"fmt"
	"path"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// Kind is a family of shells.
type Kind int

// The families.
const (
	POSIX Kind = iota // Git Bash, too
	Cmd
	PowerShell
)

// Shell is what a person types in.
type Shell struct {
	Kind
	Home string // the person's home folder, which Windows' shells have no common name for
}

// bare are the characters that neither of Windows' shells takes for more than
// themselves.
const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./\\:"

// Quote makes one word of any text, in quotes where it needs them.
func (k Kind) Quote(text string) string {
	if k == POSIX {
		return paths.Quote(text)
	}
	return k.windowsWord(text)
}

// Escape is Quote for a word inside a text that has single quotes around it.
func (k Kind) Escape(text string) string {
	if k == POSIX {
		return paths.Escape(text)
	}
	return k.windowsWord(text)
}

// windowsWord is a word in double quotes, which both of Windows' shells know. cmd has
// no way to keep a % from meaning a variable.
func (k Kind) windowsWord(text string) string {
	if text != "" && strings.Trim(text, bare) == "" {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case k == PowerShell && strings.ContainsRune("$`\"“”„", r):
			b.WriteByte('`')
		case r == '"': // in no file's name
			b.WriteByte('"')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// Then has the second command run after the first.
func (k Kind) Then(first, second string) string {
	if k == PowerShell {
		return first + "; " + second // the one that Windows has knows no &&
	}
	return first + " && " + second
}

// local is a word that is a path as the shell's own commands want it: cmd takes what
// stands behind a / for a switch.
func (k Kind) local(word string) string {
	if k == POSIX {
		return word
	}
	return strings.ReplaceAll(word, "/", `\`)
}

// call is a command of the shell's own on words that are paths.
func (k Kind) call(posix, windows string, words ...string) string {
	command := posix
	if k != POSIX {
		command = windows
	}
	for _, word := range words {
		command += " " + k.local(word)
	}
	return command
}

// Move moves a file. Words here and below are what Quote or Escape made.
func (k Kind) Move(from, to string) string { return k.call("mv", "move", from, to) }

// Remove deletes a file, or a link.
func (k Kind) Remove(file string) string { return k.call("rm", "del", file) }

// Copy copies a file, for its owner alone where there are modes.
func (k Kind) Copy(from, to string) string { return k.call("cp -p", "copy", from, to) }

// List shows a file, with its owner and its mode where there are such.
func (k Kind) List(file string) string { return k.call("ls -l", "dir", file) }

// Rights shows who may do what with a file or a folder.
func (k Kind) Rights(file string) string { return k.call("ls -ld", "icacls", file) }

// TakeOver makes a file the person's own.
func (k Kind) TakeOver(file string) string {
	return k.call(`sudo chown "$(id -u)"`, "takeown /f", file)
}

// Unlink puts a file in the place of a link to it.
func (k Kind) Unlink(link, target string) string {
	if k == POSIX {
		return fmt.Sprintf(`cp --remove-destination "$(readlink -f %[1]s)" %[1]s`, link)
	}
	return k.Then(k.Remove(link), k.Copy(target, link))
}

// Create makes an empty file.
func (k Kind) Create(file string) string {
	if k == Cmd {
		return "type nul >" + k.local(file)
	}
	return k.call("touch", "New-Item", file)
}

// Append puts a line at the end of a file.
func (k Kind) Append(line, file string) string {
	if k == PowerShell { // its >> writes UTF-16
		return "Add-Content " + k.local(file) + " " + line
	}
	return "echo " + line + " >>" + k.local(file)
}

// Edit opens a file at a line.
func (k Kind) Edit(file string, line int) string {
	if k == POSIX {
		return fmt.Sprintf("${EDITOR:-vi} +%d %s", max(line, 1), file)
	}
	return "notepad " + k.local(file)
}

// Find says where a program is.
func (k Kind) Find(program string) string {
	return k.call("command -v", "where.exe", program) // where alone is another command of PowerShell's
}

// Export sets a variable for what is called afterwards.
func (k Kind) Export(name, value string) string {
	switch k {
	case Cmd:
		return fmt.Sprintf(`set "%s=%s"`, name, value)
	case PowerShell:
		return fmt.Sprintf("$env:%s = %s", name, k.Quote(value))
	}
	return "export " + name + "=" + k.Quote(value)
}

// ExtendPath adds a folder to PATH.
func (k Kind) ExtendPath(folder string) string {
	switch k {
	case Cmd:
		return fmt.Sprintf(`set "PATH=%%PATH%%;%s"`, k.local(folder))
	case PowerShell:
		return "$env:PATH += " + k.Quote(";"+k.local(folder))
	}
	return `export PATH="$PATH:"` + k.Quote(folder)
}

// AtHome is a file in the person's home folder.
func (s Shell) AtHome(name string) string {
	if s.Kind == POSIX || s.Home == "" {
		return "~/" + name
	}
	return s.Escape(s.local(path.Join(strings.ReplaceAll(s.Home, `\`, "/"), name)))
}

// MoveHome moves a file into the person's home folder, and asks before it replaces
// one there.
func (s Shell) MoveHome(file string) string { return s.call("mv -i", "move", file, s.AtHome("")) }
