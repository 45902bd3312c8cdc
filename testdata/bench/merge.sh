#!/usr/bin/env bash
# What a merge driver call costs next to the start of the program: 'git
# muxi-secrets merge-vault' of vaults of 20 and 1,000 secrets, of which each side
# changed one, and 'merge-template' of their templates, against --version. Git
# calls the driver once for each vault that both sides changed.
#
# usage: testdata/bench/merge.sh [BINARY]
#
# RUNS= rounds (201). The promise: merging 20 secrets takes at most 3 times as
# long as starting the program.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/muxi-secrets-merge.XXXXXX")
trap 'rm -rf "$work"' EXIT
runs=${RUNS:-201}

cd "$top"
go build -o "$work/sidebyside" ./testdata/bench/sidebyside
program=${1:-}
if [ -z "$program" ]; then
  CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/git-muxi-secrets" .
  program=$work/git-muxi-secrets
fi

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL="$work/gitconfig" XDG_CACHE_HOME="$work/cache" HOME="$work"
git config --global user.name Bench
git config --global user.email bench@example.com
git config --global init.defaultBranch main

# sides COUNT: a repository whose vault has that many secrets, and beside it the
# three versions of vault and template that git would give a driver.
sides() {
  local repo=$work/$1 i
  git init -q "$repo"
  mkdir "$repo/agent"
  printf 'schema: "1.0.0"\nid: agent\n' >"$repo/agent/formation.afs"
  for ((i = 0; i < $1; i++)); do printf 'NAME_%04d=value-%d-of-some-length\n' "$i" "$i"; done >"$work/env"
  (
    cd "$repo/agent"
    "$program" -q init --no-hooks
    "$program" -q import "$work/env"
    for side in base ours theirs; do
      case $side in
        ours) printf changed | "$program" -q add NAME_0000 --stdin; printf new | "$program" -q add OURS --stdin ;;
        theirs) printf changed | "$program" -q add NAME_0001 --stdin; printf new | "$program" -q add THEIRS --stdin; "$program" -q delete OURS ;;
      esac
      cp secrets.enc "$work/$1-$side"
      cp secrets "$work/$1-$side-template"
    done
    git -C "$repo" add -A
    git -C "$repo" commit -qm base
  ) 2>/dev/null
}

sides 20
sides 1000

# The driver writes into ours: each run has its own, or the second would find
# that nothing is left to write.
for count in 20 1000; do
  for ((n = 0; n < runs + 3; n++)); do
    cp "$work/$count-ours" "$work/$count-ours-$n"
    cp "$work/$count-ours-template" "$work/$count-ours-template-$n"
  done
done

# driver NAME COUNT PATH SUFFIX...: a call as git makes it.
driver() { call=("$program" "$1" "../$2-base$4" "../$2-ours$4-{n}" "../$2-theirs$4" 7 -- "agent/$3"); }

args=(-rounds "$runs" -warm 3 ::: -name '--version' "$program" --version)
for count in 20 1000; do
  within=()
  [ "$count" = 1000 ] || within=(-within 3)
  driver merge-vault "$count" secrets.enc ''
  args+=(::: -name "merge-vault, $count secrets" "${within[@]}" -dir "$work/$count" "${call[@]}")
  driver merge-template "$count" secrets -template
  args+=(::: -name "merge-template, $count names" "${within[@]}" -dir "$work/$count" "${call[@]}")
done
"$work/sidebyside" "${args[@]}"

for count in 20 1000; do # what was timed is a merge, and not a failure
  if cmp -s "$work/$count-ours" "$work/$count-ours-0"; then
    echo "merge.sh: the driver left ours as it was" >&2
    exit 3
  fi
done
