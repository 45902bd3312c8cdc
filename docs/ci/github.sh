#!/usr/bin/env bash
# What the GitHub Action runs. It needs the whole history: actions/checkout with
# 'fetch-depth: 0'.
set -euo pipefail

arguments=()
base=${INPUT_BASE:-}
if [ -z "$base" ] && [ -n "${GITHUB_BASE_REF:-}" ]; then
    base=refs/remotes/origin/$GITHUB_BASE_REF # the whole name: a tag could be called origin/main
fi
[ -z "$base" ] || arguments+=(--base "$base")
[ -z "${INPUT_BASELINE:-}" ] || arguments+=(--baseline "$INPUT_BASELINE")
[ "${INPUT_STRICT:-false}" != true ] || arguments+=(--strict)

# The same check twice where SARIF is wanted too: the second is quick, and the
# first one's exit code counts. The file is put in its place here: the program may
# be in a container that can write nothing. A link that a pull request left there
# is replaced, not followed.
if [ -n "${INPUT_SARIF:-}" ]; then
    sarif=$(mktemp)
    git-muxi-secrets check "${arguments[@]}" --format sarif >"$sarif" || { code=$?; [ "$code" = 1 ] || exit "$code"; }
    rm -f -- "$INPUT_SARIF"
    mv -- "$sarif" "$INPUT_SARIF"
fi
exec git-muxi-secrets check "${arguments[@]}" --format github
