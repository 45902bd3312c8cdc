#!/usr/bin/env bash
# The promises on speed around people and keys, measured in one run:
#
#   unlock with ssh-ed25519         within 2x of `age -d -i` of the same .key.age
#   share add of the 100th person   under 50 ms
#   rotate --all, 50 secrets each   the same time per formation over 50, 100 and 200
#
# usage: testdata/bench/people.sh
#
# Needs Go, git, ssh-keygen and awk. age 1.3.2 is taken from AGE= (a path), else from
# PATH if of that version, else built into a temp folder by `go install`. RUNS= is how
# often the short commands run (200), RUNS_BIG= rotate (5), BENCH_DIR= the disk to
# write to (fsync costs nothing in a tmpfs, and so tells nothing there).
# Exit codes: 0 all promises hold, 1 one does not, else something failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/muxi-secrets-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"

cd "$top"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/bin/git-muxi-secrets" .
go build -o "$work/bin/sidebyside" ./testdata/bench/sidebyside
go build -o "$work/bin/age-keygen" filippo.io/age/cmd/age-keygen
if [ -z "${AGE:-}" ]; then
  AGE=$(command -v age || true)
  if [ -z "$AGE" ] || ! "$AGE" --version | grep -F 1.3.2 >/dev/null; then
    echo 'building age v1.3.2 (set AGE= to use another)' >&2
    GOBIN="$work/bin" go install filippo.io/age/cmd/age@v1.3.2 >&2
    AGE=$work/bin/age
  fi
fi

# From here on nothing of this machine's settings counts, nor of its keys.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=$work/home
unset XDG_CONFIG_HOME
mkdir -p "$HOME/.ssh"
ours=$work/bin/git-muxi-secrets
example=$top/testdata/formations/02-customer-support

echo "$(go version), $(git --version), $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo '?') processors"
echo "age $("$AGE" --version); $("$ours" --version)"
echo "disk: $(df -P "$work" | awk 'END { print $1 " on " $NF }')"

# secrets N FILE: N secrets, as .env.
secrets() { awk -v n="$1" 'BEGIN { for (i = 1; i <= n; i++) printf "NAME_%05d=value-%040d\n", i, i * 7919 }' >"$2"; }

# sealed DIR: a formation with 50 secrets, in a repository that is there.
sealed() {
  mkdir -p "$(dirname "$1")"
  cp -R "$example" "$1"
  "$ours" -C "$1" -q init --no-hooks
  "$ours" -C "$1" -q import "$work/50.env"
}

# person: the public key of a new person.
person() { "$work/bin/age-keygen" 2>/dev/null | sed -n "s/^# public key: //p"; }

kept=0
# compare TITLE ARG...: one table, kept in $work/table; remembers a promise that
# does not hold.
compare() {
  echo
  echo "$1"
  shift
  local code=0
  "$work/bin/sidebyside" "$@" >"$work/table" || code=$?
  cat "$work/table"
  case $code in
    0) ;;
    1) kept=1 ;;
    *) exit "$code" ;;
  esac
}

# median NAME: the milliseconds that the last table has for a command.
median() { awk -v name="$1" 'index($0, "  " name) { print $1; exit }' "$work/table"; }

# judge TEXT FIGURE BOUND: a promise that is no ratio of two commands.
judge() {
  local verdict=PASS
  awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 <= b) }' || { verdict=FAIL; kept=1; }
  echo "$verdict: $1: $2; promised: at most $3"
}

runs=${RUNS:-200}
warm=3
secrets 50 "$work/50.env"

# Every run has a repository of its own, so that nothing but the command is
# timed: each .key is missing, each list has 99 people.
ssh-keygen -q -t ed25519 -N '' -C me@example.com -f "$HOME/.ssh/id_ed25519"
git init -q "$work/origin"
sealed "$work/origin/formation"
"$ours" -C "$work/origin/formation" -q share add "$HOME/.ssh/id_ed25519.pub"
cp "$work/origin/formation/.key" "$work/key"
cp -R "$work/origin" "$work/new"
rm "$work/new/formation/.key" "$work/new/.git/config"
git init -q "$work/new"
cp -R "$work/new" "$work/again" # one that has the diff and merge drivers
"$ours" -C "$work/again/formation" -q unlock
rm "$work/again/formation/.key"
for n in $(seq 0 $((runs + warm - 1))); do
  cp -R "$work/new" "$work/new-$n"
  cp -R "$work/again" "$work/again-$n"
done
sync
compare "unlock with ssh-ed25519 ($runs rounds)" -rounds "$runs" -warm "$warm" \
  ::: -name 'age -d -i' "$AGE" -d -i "$HOME/.ssh/id_ed25519" "$work/again/formation/.key.age" \
  ::: -name 'unlock' -within 2 "$ours" -C "$work/again-{n}/formation" unlock \
  ::: -name 'unlock, the first command in a clone' "$ours" -C "$work/new-{n}/formation" unlock \
  ::: -name '--version' "$ours" --version
for n in 0 $((runs + warm - 1)); do
  cmp -s "$work/key" "$work/again-$n/formation/.key" && cmp -s "$work/key" "$work/new-$n/formation/.key" ||
    { echo 'the timed unlock wrote no key, or another' >&2; exit 3; }
done
rm -rf "$work"/again-* "$work"/new-*

cp -R "$work/origin" "$work/many"
for n in $(seq 98); do
  echo "# Person $n"
  person
done >"$work/people"
"$ours" -C "$work/many/formation" -q share add "$work/people"
for n in $(seq 0 $((runs + warm - 1))); do cp -R "$work/many" "$work/many-$n"; done
sync
compare "share add of the 100th person ($runs rounds)" -rounds "$runs" -warm "$warm" \
  ::: -name '--version' "$ours" --version \
  ::: -name 'share add' "$ours" -C "$work/many-{n}/formation" share add "$(person)" --name Hundredth
[ "$("$ours" -C "$work/many-0/formation" share list | grep -c '^  - ')" = 100 ] || { echo 'not 100 people' >&2; exit 3; }
judge 'milliseconds of share add' "$(median 'share add')" 50
rm -rf "$work"/many*

runs=${RUNS_BIG:-5}
people=$(person)
for count in 50 100 200; do
  git init -q "$work/$count"
  for n in $(seq "$count"); do sealed "$work/$count/formations/agent-$n"; done
  "$ours" -C "$work/$count" -q share add "$people" --name Bob --all
done
before=$("$ours" -C "$work/50/formations/agent-1" key fingerprint)
sync
compare "rotate --all, 50 secrets in each formation ($runs rounds)" -rounds "$runs" -warm 1 \
  ::: -name '50 formations' "$ours" -C "$work/50" -q rotate --all \
  ::: -name '100 formations' "$ours" -C "$work/100" -q rotate --all \
  ::: -name '200 formations' "$ours" -C "$work/200" -q rotate --all
[ "$before" != "$("$ours" -C "$work/50/formations/agent-1" key fingerprint)" ] || { echo 'the timed rotate made no new key' >&2; exit 3; }
for count in 50 100 200; do
  awk -v n="$count" -v t="$(median "$count formations")" 'BEGIN { printf "%d formations: %.2f ms for each\n", n, t / n }'
done
judge 'a formation of 200 against one of 50' \
  "$(awk -v a="$(median '200 formations')" -v b="$(median '50 formations')" 'BEGIN { printf "%.2f", a / 200 / (b / 50) }')" 1.3

exit "$kept"
