#!/usr/bin/env bash
# What it costs to read the history in names, in one run:
#
#   log --all   over 2,000 commits that touch 20 vaults of 20 secrets each: within
#               3x of `git log --raw` over the same files
#   textconv    of one vault: what one more process costs git for each version it
#               shows, next to the start of the program (--version)
#
# usage: testdata/bench/history.sh
#
# Needs Go and git. RUNS= is how often each command runs (21), COMMITS= and
# VAULTS= make another repository.
# Exit codes: 0 all promises hold, 1 one does not, else something failed.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/muxi-secrets-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
cd "$top"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/bin/git-muxi-secrets" .
go build -o "$work/bin/sidebyside" ./testdata/bench/sidebyside
export GIT_CONFIG_GLOBAL="$work/gitconfig" GIT_CONFIG_NOSYSTEM=1 PATH="$work/bin:$PATH" HOME="$work"
git config --global user.name Bench
git config --global user.email bench@example.com
git config --global gc.auto 0
runs=${RUNS:-21} commits=${COMMITS:-2000} vaults=${VAULTS:-20}

cat >"$work/bin/raw" <<'END'
#!/bin/sh
exec git log --raw --no-abbrev -- ':(top,glob)**/secrets.enc' >/dev/null
END
cat >"$work/bin/ours" <<'END'
#!/bin/sh
exec git-muxi-secrets log "$@" >/dev/null
END
chmod +x "$work/bin/raw" "$work/bin/ours"

# build FORMAT FOLDER: each commit gives one secret of one vault a new value.
build() {
  local format=$1 i
  git init -q "$2"
  cd "$2"
  for ((i = 0; i < vaults; i++)); do
    mkdir -p "env$i"
    echo "name: bench$i" >"env$i/formation.afs"
    git-muxi-secrets -q -C "env$i" init --no-hooks --format "$format"
    for ((j = 0; j < 20; j++)); do echo "SECRET_$j=value-of-some-length-$i-$j"; done |
      git-muxi-secrets -q -C "env$i" import - 2>/dev/null
  done
  git add -A
  git commit -q -m 'all environments'
  for ((i = 0; i < commits; i++)); do
    printf 'a value of commit %d' "$i" |
      git-muxi-secrets -q -C "env$((i % vaults))" add "SECRET_$((i / vaults % 20))" --stdin 2>/dev/null
    git commit -q -a -m "change $i"
  done
  git gc -q
  cd "$top"
}

echo "$(go version), $(git --version), $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo '?') processors"
kept=0
compare() {
  echo
  echo "$1"
  shift
  local code=0
  sidebyside "$@" || code=$?
  case $code in
    0) ;;
    1) kept=1 ;;
    *) exit "$code" ;;
  esac
}

build fernet "$work/fernet"
compare "The history, $commits commits, $vaults vaults ($runs rounds)" -rounds "$runs" \
  ::: -name 'git log --raw' -dir "$work/fernet" raw \
  ::: -name 'log --all' -within 3 -dir "$work/fernet" ours --all \
  ::: -name 'log of one formation' -dir "$work/fernet" ours -C env3 \
  ::: -name 'log -n 1' -dir "$work/fernet" ours -C env3 -n 1
git -C "$work/fernet" show HEAD:env3/secrets.enc >"$work/secrets.enc"
compare "One version in git diff ($((runs * 5)) rounds)" -rounds "$((runs * 5))" \
  ::: -name 'git muxi-secrets --version' -dir "$work/fernet" git muxi-secrets --version \
  ::: -name 'textconv' -within 3 -dir "$work/fernet" git muxi-secrets textconv "$work/secrets.enc"
exit "$kept"
