package shell

// typedIn is the shell among the programs that this one was started from, the
// nearest first. One that git itself started, for a hook or an alias, is nobody's.
func typedIn(above []string) Kind {
	for i, name := range above {
		switch name {
		case "powershell", "pwsh":
			return PowerShell
		case "cmd":
			return Cmd
		case "bash", "sh", "dash", "zsh", "fish", "busybox":
			if i+1 == len(above) || above[i+1] != "git" {
				return POSIX
			}
		}
	}
	return PowerShell
}
