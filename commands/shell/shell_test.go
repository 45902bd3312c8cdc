package shell

import (
	"testing"
)

// Each command, in the three kinds of shells.
func TestCommands(t *testing.T) {
	const file = "formations/my agent/.key"
	for about, c := range map[string]struct {
		make                   func(Shell) string
		posix, cmd, powerShell string
	}{
		"a word":         {func(s Shell) string { return s.Quote("a/b-c.yaml") }, `a/b-c.yaml`, `a/b-c.yaml`, `a/b-c.yaml`},
		"blanks":         {func(s Shell) string { return s.Quote("a b") }, `'a b'`, `"a b"`, `"a b"`},
		"in quotes":      {func(s Shell) string { return s.Escape("a b") }, `a\ b`, `"a b"`, `"a b"`},
		"none":           {func(s Shell) string { return s.Quote("") }, `''`, `""`, `""`},
		"a comma":        {func(s Shell) string { return s.Quote("a,b") }, `a,b`, `"a,b"`, `"a,b"`},
		"not ASCII":      {func(s Shell) string { return s.Quote("é") }, `'é'`, `"é"`, `"é"`},
		"a variable":     {func(s Shell) string { return s.Quote("$x`") }, "'$x`'", "\"$x`\"", "\"`$x``\""},
		"typed quotes":   {func(s Shell) string { return s.Quote("a“b”c„d") }, `'a“b”c„d'`, `"a“b”c„d"`, "\"a`“b`”c`„d\""},
		"move":           {func(s Shell) string { return s.Move(s.Quote("a/b"), s.Quote("c d")) }, `mv a/b 'c d'`, `move a\b "c d"`, `move a\b "c d"`},
		"move home":      {func(s Shell) string { return s.MoveHome(s.Quote(file)) }, `mv -i 'formations/my agent/.key' ~/`, `move "formations\my agent\.key" "C:\Users\A B"`, `move "formations\my agent\.key" "C:\Users\A B"`},
		"at home":        {func(s Shell) string { return s.AtHome("x.enc") }, `~/x.enc`, `"C:\Users\A B\x.enc"`, `"C:\Users\A B\x.enc"`},
		"remove":         {func(s Shell) string { return s.Remove("a/b") }, `rm a/b`, `del a\b`, `del a\b`},
		"copy":           {func(s Shell) string { return s.Copy("a/b", "c") }, `cp -p a/b c`, `copy a\b c`, `copy a\b c`},
		"one by one":     {func(s Shell) string { return s.Then("x", "y") }, `x && y`, `x && y`, `x; y`},
		"out of a link":  {func(s Shell) string { return s.Unlink("a", "b/c") }, `cp --remove-destination "$(readlink -f a)" a`, `del a && copy b\c a`, `del a; copy b\c a`},
		"list":           {func(s Shell) string { return s.List("a/b") }, `ls -l a/b`, `dir a\b`, `dir a\b`},
		"rights":         {func(s Shell) string { return s.Rights("a/b") }, `ls -ld a/b`, `icacls a\b`, `icacls a\b`},
		"take over":      {func(s Shell) string { return s.TakeOver("a/b") }, `sudo chown "$(id -u)" a/b`, `takeown /f a\b`, `takeown /f a\b`},
		"an empty file":  {func(s Shell) string { return s.Create("a/.env") }, `touch a/.env`, `type nul >a\.env`, `New-Item a\.env`},
		"a line more":    {func(s Shell) string { return s.Append("/x", "a/.gitignore") }, `echo /x >>a/.gitignore`, `echo /x >>a\.gitignore`, `Add-Content a\.gitignore /x`},
		"the editor":     {func(s Shell) string { return s.Edit("a/b", 7) }, `${EDITOR:-vi} +7 a/b`, `notepad a\b`, `notepad a\b`},
		"where it is":    {func(s Shell) string { return s.Find("git") }, `command -v git`, `where.exe git`, `where.exe git`},
		"a variable set": {func(s Shell) string { return s.Export("DIR", "C:/a b") }, `export DIR='C:/a b'`, `set "DIR=C:/a b"`, `$env:DIR = "C:/a b"`},
		"PATH":           {func(s Shell) string { return s.ExtendPath("C:/a b") }, `export PATH="$PATH:"'C:/a b'`, `set "PATH=%PATH%;C:\a b"`, `$env:PATH += ";C:\a b"`},
	} {
		for kind, want := range []string{POSIX: c.posix, Cmd: c.cmd, PowerShell: c.powerShell} {
			if got := c.make(Shell{Kind(kind), `C:\Users\A B`}); got != want {
				t.Errorf("%s: %s, not %s", about, got, want)
			}
		}
	}
}

// Programs are the nearest first.
func TestTypedIn(t *testing.T) {
	for _, c := range []struct {
		want  Kind
		above []string
	}{
		{PowerShell, nil},
		{PowerShell, []string{"git", "git", "powershell", "explorer"}},
		{PowerShell, []string{"pwsh", "cmd"}},
		{Cmd, []string{"git", "cmd", "powershell"}},
		{POSIX, []string{"git", "bash", "mintty"}},
		{POSIX, []string{"bash"}},
		{Cmd, []string{"sh", "git", "git", "cmd"}},    // a hook
		{POSIX, []string{"sh", "git", "bash", "cmd"}}, // a hook, from Git Bash
		{PowerShell, []string{"code", "explorer"}},
	} {
		if got := typedIn(c.above); got != c.want {
			t.Errorf("%q: %d, not %d", c.above, got, c.want)
		}
	}
}
