#!/usr/bin/env bash
# The main job's promises on speed, measured against age and sops in one run:
#
#   list and get, 20 secrets       within 2x of `age --version`
#   add (with fsync), 20 secrets   at least 2x as fast as `sops set`
#   add and get, 10,000 secrets    at least 50x as fast as sops on JSON
#
# usage: testdata/bench/main.sh
#
# Needs Go, git and awk. sops 3.13.3 and age 1.3.2 are taken from SOPS= and AGE=
# (paths), else from PATH if of that version, else built into a temp folder by `go install`.
# RUNS= is how often the short commands run (200), RUNS_BIG= the long ones (5),
# BENCH_DIR= the disk to write to (fsync costs nothing in a tmpfs, and so tells
# nothing there).
# Exit codes: 0 all promises hold, 1 one does not, else something failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/muxi-secrets-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
export SOPS_DISABLE_VERSION_CHECK=1 # which asks the network

# peer COMMAND MODULE FOLDER VERSION: the path of the peer; the one on PATH only
# if it is of that version (a distribution's may be years behind).
peer() {
  local found
  if found=$(command -v "$1") && "$found" --version 2>/dev/null | grep -F "${4#v}" >/dev/null; then
    echo "$found"
    return
  fi
  echo "building $1 $4 (set $(echo "$1" | tr '[:lower:]' '[:upper:]')= to use another)" >&2
  GOBIN="$work/bin" go install "$2/$3@$4" >&2
  echo "$work/bin/$1"
}

cd "$top"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/bin/git-muxi-secrets" .
go build -o "$work/bin/sidebyside" ./testdata/bench/sidebyside
age=${AGE:-$(peer age filippo.io/age cmd/age v1.3.2)}
sops=${SOPS:-$(peer sops github.com/getsops/sops/v3 cmd/sops v3.13.3)}
go run filippo.io/age/cmd/age-keygen -o "$work/identity" 2>/dev/null
recipient=$(sed -n 's/^# public key: //p' "$work/identity")

# From here on nothing of this machine's settings counts.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export SOPS_AGE_KEY_FILE="$work/identity"
ours=$work/bin/git-muxi-secrets
sidebyside=$work/bin/sidebyside

echo "$(go version), $(git --version), $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo '?') processors"
echo "age $("$age" --version); $("$sops" --version | head -n 1); $("$ours" --version)"
echo "disk: $(df -P "$work" | awk 'END { print $1 " on " $NF }')"

# vaults DIR N: the same N secrets in a formation of a repository and in files
# of sops, as JSON (what a vault of ours holds inside) and as .env.
vaults() {
  mkdir "$1"
  cp -R "$top/testdata/formations/02-customer-support" "$1/formation"
  git init -q "$1"
  awk -v n="$2" 'BEGIN { for (i = 1; i <= n; i++) printf "NAME_%05d=value-%040d\n", i, i * 7919 }' >"$1/plain.env"
  awk -F= 'BEGIN { printf "{" } { printf "%s\n  \"%s\": \"%s\"", (NR > 1 ? "," : ""), $1, $2 } END { print "\n}" }' \
    "$1/plain.env" >"$1/plain.json"
  "$sops" encrypt --age "$recipient" "$1/plain.json" >"$1/sops.json"
  "$sops" encrypt --age "$recipient" "$1/plain.env" >"$1/sops.env"
  "$ours" -C "$1/formation" -q init
  "$ours" -C "$1/formation" -q import "$1/plain.env"
  [ "$("$ours" -C "$1/formation" list --names | grep -c '^NAME_')" -eq "$2" ]
  rm "$1/plain.env" "$1/plain.json"
}

# written DIR: the adds that were timed did store what they were given.
written() {
  case $("$ours" -C "$1/formation" get NAME_00007) in
    ours-*) ;;
    *) echo "the timed add stored nothing" >&2; exit 3 ;;
  esac
}

kept=0
# compare TITLE ARG...: one table; remembers a promise that does not hold.
compare() {
  echo
  echo "$1"
  shift
  local code=0
  "$sidebyside" "$@" || code=$?
  case $code in
    0) ;;
    1) kept=1 ;;
    *) exit "$code" ;;
  esac
}

runs=${RUNS:-200}
small=$work/small
vaults "$small" 20
compare "Start, and reading one of 20 secrets ($runs rounds)" -rounds "$runs" \
  ::: -name 'age --version' "$age" --version \
  ::: -name 'list' -within 2 -dir "$small/formation" "$ours" list \
  ::: -name 'get NAME' -within 2 -dir "$small/formation" "$ours" get NAME_00007 \
  ::: -name '--version' "$ours" --version \
  ::: -name 'sops decrypt --extract' -dir "$small" "$sops" decrypt --extract '["NAME_00007"]' sops.json

compare "Writing one of 20 secrets ($runs rounds)" -rounds "$runs" \
  ::: -name 'sops set' -dir "$small" "$sops" set sops.json '["NAME_00007"]' '"theirs-{n}"' \
  ::: -name 'add NAME --stdin' -faster 2 -dir "$small/formation" -stdin 'ours-{n}' "$ours" -q add NAME_00007 --stdin
written "$small"

runs=${RUNS_BIG:-5}
big=$work/big
vaults "$big" 10000
# The figures behind the promise are of sops on JSON, reading the whole file.
# Its ways around that (one value by --extract, .env in place of JSON, where its
# writer is not quadratic) stand beside it unjudged, since a user may take them.
compare "Reading one of 10,000 secrets ($runs rounds)" -rounds "$runs" -warm 1 \
  ::: -name 'sops decrypt' -dir "$big" "$sops" decrypt sops.json \
  ::: -name 'get NAME' -faster 50 -dir "$big/formation" "$ours" get NAME_00007 \
  ::: -name 'sops decrypt --extract' -dir "$big" "$sops" decrypt --extract '["NAME_00007"]' sops.json \
  ::: -name 'sops decrypt --extract (.env)' -dir "$big" "$sops" decrypt --extract '["NAME_00007"]' sops.env

compare "Writing one of 10,000 secrets ($runs rounds)" -rounds "$runs" -warm 1 \
  ::: -name 'sops set' -dir "$big" "$sops" set sops.json '["NAME_00007"]' '"theirs-{n}"' \
  ::: -name 'add NAME --stdin' -faster 50 -dir "$big/formation" -stdin 'ours-{n}' "$ours" -q add NAME_00007 --stdin \
  ::: -name 'sops set (.env)' -dir "$big" "$sops" set sops.env '["NAME_00007"]' '"theirs-{n}"'
written "$big"

exit "$kept"
