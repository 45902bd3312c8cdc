// git-muxi-secrets keeps the API keys of MUXI formations: git runs it as
// `git muxi-secrets`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/muxi-ai/git-muxi-secrets/commands"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := commands.Run(ctx, commands.System(), os.Args)
	stop()
	os.Exit(code)
}
