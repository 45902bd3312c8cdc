#!/usr/bin/env bash
# The checks' promises on speed, measured against gitleaks and against the floor
# (git alone, listing and reading the same content) in one run:
#
#   check --staged, small      at least 4x as fast as gitleaks, within 2x of the floor
#   check --staged, big        within 1.5x of the floor and a walk through the
#                              folders: it knows what lies in untracked ones too
#   hook-run pre-commit, big   within 4x of the floor, which it grows with
#   git commit, small          at most 2x one with as many hooks that are `exit 0`
#   check --history, hist      within 2x of the floor, at least 15x as fast as
#                              gitleaks, at most 64 MB, 5 of 5 leaks and no more
#   growth                     twice the history: twice the time
#
# usage: testdata/bench/check.sh
#
# Needs Go and git. gitleaks 8.30.1 is taken from GITLEAKS= (a path), else built
# into a temp folder by `go install`. RUNS= is how often the short commands run
# (100), RUNS_HIST= the long ones (5).
# Exit codes: 0 all promises hold, 1 one does not, else something failed.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/muxi-secrets-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
cd "$top"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/bin/git-muxi-secrets" .
go build -o "$work/bin/sidebyside" ./testdata/bench/sidebyside
go build -o "$work/bin/repos" ./testdata/bench/repos
if [ -z "${GITLEAKS:-}" ]; then
  echo 'building gitleaks (set GITLEAKS= to use another)' >&2
  GOBIN="$work/bin" go install github.com/zricethezav/gitleaks/v8@v8.30.1 >&2
  GITLEAKS=$work/bin/gitleaks
fi
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 PATH="$work/bin:$PATH"
ours=$work/bin/git-muxi-secrets

cat >"$work/bin/floor-staged" <<'EOF'
#!/bin/sh
git diff-index --cached --raw -z HEAD | tr '\0' '\n' | sed -n 's/^:[^ ]* [^ ]* [^ ]* \([^ ]*\) .*/\1/p' | git cat-file --batch >/dev/null
EOF
cat >"$work/bin/floor-walk" <<'EOF'
#!/bin/sh
floor-staged
find . -name .git -prune -o -name 'formation.*' -print >/dev/null
EOF
cat >"$work/bin/floor-history" <<'EOF'
#!/bin/sh
exec git cat-file --batch-all-objects --batch --unordered >/dev/null
EOF
# One finding or more is exit 1, which is what is expected there.
cat >"$work/bin/ours-history" <<'EOF'
#!/bin/sh
git-muxi-secrets check --history >/dev/null 2>&1 || [ $? = 1 ]
EOF
cat >"$work/bin/gitleaks-history" <<EOF
#!/bin/sh
"$GITLEAKS" git --no-banner -l error --exit-code 0 . >/dev/null 2>&1
EOF
cat >"$work/bin/commit-one" <<'EOF'
#!/bin/sh
echo "# $1" >>formation.afs && git commit -q -a -m "change $1"
EOF
chmod +x "$work"/bin/*

echo "$(go version), $(git --version), $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo '?') processors"
echo "gitleaks $("$GITLEAKS" version 2>/dev/null || true); $("$ours" --version)"
for shape in small big hist; do repos "$shape" "$work/$shape"; done
repos -factor 10 big "$work/big10"
repos -factor 2 hist "$work/hist2"

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

runs=${RUNS:-100}
compare "The staged check, 20 files ($runs rounds)" -rounds "$runs" \
  ::: -name 'floor' -dir "$work/small" floor-staged \
  ::: -name 'check --staged' -within 2 -dir "$work/small" "$ours" check --staged
compare "The same against gitleaks ($runs rounds)" -rounds "$runs" \
  ::: -name 'gitleaks --staged' -dir "$work/small" "$GITLEAKS" git --staged --no-banner -l error . \
  ::: -name 'check --staged' -faster 4 -dir "$work/small" "$ours" check --staged
for shape in big big10; do
  files=50,000 rounds=$runs
  [ $shape = big ] || files=500,000 rounds=$((runs / 5))
  compare "The staged check, $files files ($rounds rounds)" -rounds "$rounds" \
    ::: -name 'floor, folders walked' -dir "$work/$shape" floor-walk \
    ::: -name 'check --staged' -within 1.5 -dir "$work/$shape" "$ours" check --staged
  compare "The hook of a commit, $files files ($rounds rounds)" -rounds "$rounds" \
    ::: -name 'floor' -dir "$work/$shape" floor-staged \
    ::: -name 'hook-run pre-commit' -within 4 -dir "$work/$shape" "$ours" hook-run pre-commit \
    ::: -name 'gitleaks --staged' -dir "$work/$shape" "$GITLEAKS" git --staged --no-banner -l error .
done

# Whole commits: the same repository three times.
for name in none exit0 hooks alone; do cp -R "$work/small" "$work/commit-$name"; done
for hook in pre-commit commit-msg; do # as many as ours
  printf '#!/bin/sh\nexit 0\n' >"$work/commit-exit0/.git/hooks/$hook"
  chmod +x "$work/commit-exit0/.git/hooks/$hook"
done
(cd "$work/commit-hooks" && "$ours" -q hooks install)
(cd "$work/commit-alone" && "$ours" -q hooks install && rm .git/hooks/commit-msg)
for name in none exit0 hooks alone; do (cd "$work/commit-$name" && commit-one 0); done
compare "A whole git commit ($runs rounds)" -rounds "$runs" \
  ::: -name 'hooks: exit 0' -dir "$work/commit-exit0" commit-one '{n}' \
  ::: -name 'our hooks' -within 2 -dir "$work/commit-hooks" commit-one '{n}' \
  ::: -name 'our pre-commit alone' -dir "$work/commit-alone" commit-one '{n}' \
  ::: -name 'no hook' -dir "$work/commit-none" commit-one '{n}'

runs=${RUNS_HIST:-5}
compare "The history, 5,001 commits ($runs rounds)" -rounds "$runs" -warm 1 \
  ::: -name 'floor' -dir "$work/hist" floor-history \
  ::: -name 'check --history' -within 2 -dir "$work/hist" ours-history
compare "The same against gitleaks ($runs rounds)" -rounds "$runs" -warm 1 \
  ::: -name 'gitleaks' -dir "$work/hist" gitleaks-history \
  ::: -name 'check --history' -faster 15 -dir "$work/hist" ours-history
compare "Twice the history, 10,001 commits ($runs rounds)" -rounds "$runs" -warm 1 \
  ::: -name '5,001 commits' -dir "$work/hist" ours-history \
  ::: -name '10,001 commits' -within 2.2 -dir "$work/hist2" ours-history

echo
found=$(cd "$work/hist" && "$ours" check --history 2>/dev/null | sort || true)
count=$(printf '%s\n' "$found" | grep -c . || true)
planted=$(printf '%s\n' "$found" | grep -cE '^formations/f[1-5]/(\.key|formation\.afs):' || true)
echo "leaks found in the history: $planted of 5, others: $((count - planted))"
[ "$planted" = 5 ] && [ "$count" = 5 ] || kept=1
if [ -x /usr/bin/time ]; then
  memory=$(cd "$work/hist" && /usr/bin/time -f '%M' "$ours" check --history 2>&1 >/dev/null | grep -E '^[0-9]+$' | tail -n 1) || true
  echo "memory of check --history: $((memory / 1024)) MB (64 promised)"
  [ "$memory" -le 65536 ] || kept=1
fi
exit "$kept"
