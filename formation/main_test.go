package formation

import (
	"os"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/ramdisk"
)

func TestMain(m *testing.M) { os.Exit(ramdisk.Tests{M: m}.Run()) }
