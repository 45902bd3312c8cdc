#!/usr/bin/env bash
# What the GitHub Action runs. It needs the whole history: actions/checkout with
# 'fetch-depth: 0'.
set -euo pipefail

arguments=()
base=${INPUT_BASE:-}
if [ -z "$base" ] && [ -n "${GITHUB_BASE_REF:-}" ]; then
    base=origin/$GITHUB_BASE_REF
fi
[ -z "$base" ] || arguments+=(--base "$base")
[ -z "${INPUT_BASELINE:-}" ] || arguments+=(--baseline "$INPUT_BASELINE")
[ "${INPUT_STRICT:-false}" != true ] || arguments+=(--strict)

# The same check twice where SARIF is wanted too: the second is quick, and the
# first one's exit code counts.
if [ -n "${INPUT_SARIF:-}" ]; then
    git-muxi-secrets check "${arguments[@]}" --format sarif --output "$INPUT_SARIF" || [ $? = 1 ]
fi
exec git-muxi-secrets check "${arguments[@]}" --format github
