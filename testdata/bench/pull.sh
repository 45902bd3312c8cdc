#!/usr/bin/env bash
# What the note after a pull costs: 'git merge --ff-only' of 1, 100 and 1,000
# commits of one file each, in a repository with a formation of 20 secrets, with no
# hook, with a post-merge that is `exit 0`, and with ours.
#
# usage: testdata/bench/pull.sh
#
# Needs Go and git. RUNS= rounds (51). The promise: for one commit at most 3 times
# what a hook that is `exit 0` takes, the reset between two rounds included.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/muxi-secrets-pull.XXXXXX")
trap 'rm -rf "$work"' EXIT
runs=${RUNS:-51}
mkdir "$work/bin"
cd "$top"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/bin/git-muxi-secrets" .
go build -o "$work/bin/sidebyside" ./testdata/bench/sidebyside
export PATH="$work/bin:$PATH" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL="$work/gitconfig" XDG_CACHE_HOME="$work/cache" HOME="$work"
git config --global user.name Bench
git config --global user.email bench@example.com
git config --global init.defaultBranch main

git init -q "$work/none"
(
  cd "$work/none"
  mkdir agent
  printf 'schema: "1.0.0"\nid: agent\n' >agent/formation.afs
  for ((i = 0; i < 20; i++)); do printf 'NAME_%04d=value-%d-of-some-length\n' "$i" "$i"; done >"$work/env"
  git muxi-secrets -C agent -q init --no-hooks
  git muxi-secrets -C agent -q import "$work/env" 2>/dev/null
  git add -A
  git commit -qm base
  git tag base
  for ((i = 1; i <= 1000; i++)); do
    printf 'commit refs/heads/main\ncommitter B <b@example.com> %d +0000\ndata 1\nx\n' "$((1700000000 + i))"
    [ "$i" -gt 1 ] || echo "from $(git rev-parse base)"
    printf 'M 644 inline notes/%d.txt\ndata 60\nnote %-54d\n' "$((i % 50))" "$i"
    case $i in 1 | 100 | 1000) printf 'reset refs/tags/t%d\nfrom refs/heads/main\n\nreset refs/heads/main\nfrom refs/tags/t%d\n\n' "$i" "$i" ;; esac
  done | git fast-import --quiet
  git reset -q --hard base
)
for name in exit0 ours; do cp -R "$work/none" "$work/$name"; done
printf '#!/bin/sh\nexit 0\n' >"$work/exit0/.git/hooks/post-merge"
chmod +x "$work/exit0/.git/hooks/post-merge"
(cd "$work/ours" && git muxi-secrets -q hooks install)

cat >"$work/bin/pull" <<'EOS'
#!/bin/sh
git reset -q --hard base && git merge -q --ff-only "$1"
EOS
chmod +x "$work/bin/pull"

kept=0
for commits in 1 100 1000; do
  within=()
  [ "$commits" != 1 ] || within=(-within 3)
  echo
  echo "A merge of $commits commits ($runs rounds)"
  "$work/bin/sidebyside" -rounds "$runs" -warm 2 \
    ::: -name 'post-merge: exit 0' -dir "$work/exit0" pull "t$commits" \
    ::: -name 'our note' "${within[@]}" -dir "$work/ours" pull "t$commits" \
    ::: -name 'no hook' -dir "$work/none" pull "t$commits" || kept=1
done
exit "$kept"
