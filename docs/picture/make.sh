#!/usr/bin/env bash
# Makes session.svg again: the session of session.sh, run for real on a terminal, with
# its text as text and no font in it.
set -euo pipefail
cd "$(dirname "$0")/../.."

shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
go run ./docs/picture >"$shown"
# The version is fixed, so that only the session changes the picture. The font is the
# reader's own: freeze would put one of 350 KB into the file.
go run github.com/charmbracelet/freeze@v0.2.2 "$shown" --language ansi --output docs/picture/session.svg \
    --font.family 'ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace' --font.size 13 --line-height 1.35 \
    --padding 18 --border.radius 6 --background '#161b22'
