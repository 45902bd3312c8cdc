#!/usr/bin/env bash
# What our process start costs before main: the time that the initialisation of
# each package takes (GODEBUG=inittrace=1, median of RUNS= runs, 41), and the
# whole start next to an empty Go program's. Every git hook pays for it.
#
# usage: testdata/bench/start.sh [BINARY...]
#
# With BINARY, shows that program's packages instead of a fresh build of ours.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/muxi-secrets-start.XXXXXX")
trap 'rm -rf "$work"' EXIT
runs=${RUNS:-41}

cd "$top"
mkdir "$work/empty"
printf 'package main\n\nfunc main() {}\n' >"$work/empty/main.go"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/empty-program" "$work/empty/main.go"
go build -o "$work/sidebyside" ./testdata/bench/sidebyside
if [ $# -eq 0 ]; then
  CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/git-muxi-secrets" .
  set -- "$work/git-muxi-secrets"
fi

# packages PROGRAM: "MILLISECONDS BYTES PACKAGE" for each package, by median.
packages() {
  local i
  for ((i = 0; i < runs; i++)); do
    GODEBUG=inittrace=1 "$1" --version 2>&1 >"$work/out" </dev/null | awk '/^init / { print $2, $5, $8 }'
  done | sort -k1,1 -k2,2n | awk '
    function flush() { if (n) printf "%8.3f %9d  %s\n", at[int((n + 1) / 2)], bytes, name }
    $1 != name { flush(); name = $1; n = 0 }
    { at[++n] = $2; bytes = $3 }
    END { flush() }'
}

for program; do
  packages "$program" | sort -rn >"$work/packages"
  echo "$(basename "$program"): initialisation by package (median of $runs runs)"
  echo "      ms     bytes  package"
  head -n 12 "$work/packages"
  awk '{ ms += $1; bytes += $2 } END { printf "%8.3f %9d  all %d packages\n\n", ms, bytes, NR }' "$work/packages"
done

echo "start to end"
args=(-rounds "$((runs * 5))" ::: -name 'empty Go program' "$work/empty-program")
for program; do
  args+=(::: -name "$(basename "$program") --version" "$program" --version)
done
"$work/sidebyside" "${args[@]}"
