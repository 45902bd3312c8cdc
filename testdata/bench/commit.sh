#!/usr/bin/env bash
# What a hook costs in a commit of one file, in a repository with a formation of 20
# secrets and 200 other files: no hook, hooks that are `exit 0`, ours, and what
# people have beside them, doing nothing or their own job.
#
# usage: testdata/bench/commit.sh [BINARY...]
#
# Needs Go and git. Lefthook, pre-commit and gitleaks are measured where PATH has
# them. With BINARY, those programs are measured as well, as "before". RUNS=
# rounds (101). The promise: at most twice what `exit 0` takes, with as many hooks.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/muxi-secrets-commit.XXXXXX")
trap 'rm -rf "$work"' EXIT
runs=${RUNS:-101}
mkdir -p "$work/bin" "$work/ours-bin"
cd "$top"
CGO_ENABLED=0 go build -trimpath -tags=urfave_cli_no_docs -ldflags='-s -w' -o "$work/ours-bin/git-muxi-secrets" .
go build -o "$work/bin/sidebyside" ./testdata/bench/sidebyside
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL="$work/gitconfig" XDG_CACHE_HOME="$work/cache" HOME="$work"
git config --global user.name Bench
git config --global user.email bench@example.com
git config --global init.defaultBranch main
git config --global gc.auto 0
git config --global maintenance.auto false
ours=$work/ours-bin:$PATH

git init -q "$work/none"
(
  cd "$work/none"
  PATH=$ours
  mkdir agent files
  printf 'schema: "1.0.0"\nid: agent\n' >agent/formation.afs
  for ((i = 0; i < 20; i++)); do printf 'NAME_%04d=value-%d-of-some-length\n' "$i" "$i"; done >"$work/env"
  for ((i = 0; i < 200; i++)); do printf 'file %d\n' "$i" >"files/$i.txt"; done
  git muxi-secrets -C agent -q init --no-hooks
  git muxi-secrets -C agent -q import "$work/env" 2>/dev/null
  git add -A
  git commit -qm base
)

# commit: one file, whose content is new each time.
cat >"$work/bin/commit" <<'EOS'
#!/bin/sh
echo "$1" >files/7.txt
exec git commit -qam "change $1"
EOS
chmod +x "$work/bin/commit"

measured=()
# with NAME PATH COMMAND...: a repository that COMMAND, run in it, gives its hooks.
with() {
  local name=$1 path=$2 dir=$work/repo.${#measured[@]}
  shift 2
  cp -R "$work/none" "$dir"
  (cd "$dir" && PATH=$path && "$@") >/dev/null 2>"$work/said" || { cat "$work/said" >&2; exit 3; }
  measured+=(::: -name "$name" -dir "$dir")
  [ "$name" != ours ] || measured+=(-within 2)
  measured+=(env PATH="$path" "$work/bin/commit" '{n}')
}

hook() { # NAME...: each with the script on standard input
  local script
  script=$(cat)
  for name; do printf '#!/bin/sh\n%s\n' "$script" >".git/hooks/$name" && chmod +x ".git/hooks/$name"; done
}
exit0() { echo 'exit 0' | hook pre-commit commit-msg; }
gitleaks_hook() { echo 'exec gitleaks git --pre-commit --staged --no-banner --log-level error' | hook pre-commit; }
lefthook_idle() { printf 'pre-commit:\n  commands: {}\n' >lefthook.yml && lefthook install; }
precommit_idle() {
  printf 'repos:\n- repo: local\n  hooks:\n  - {id: nothing, name: nothing, entry: "true", language: system, files: nowhere}\n' >.pre-commit-config.yaml
  git add -A && git commit -qm 'pre-commit' && pre-commit install
}

with 'exit 0' "$PATH" exit0
with ours "$ours" git muxi-secrets -q hooks install
for binary; do
  mkdir "$work/before.${#measured[@]}"
  ln -s "$(realpath "$binary")" "$work/before.${#measured[@]}/git-muxi-secrets"
  with "before: $binary" "$work/before.${#measured[@]}:$PATH" git muxi-secrets -q hooks install
done
with 'no hook' "$PATH" true
if command -v lefthook >/dev/null; then with "lefthook $(lefthook version), doing nothing" "$PATH" lefthook_idle; fi
if command -v gitleaks >/dev/null; then with "gitleaks' hook" "$PATH" gitleaks_hook; fi
if command -v pre-commit >/dev/null; then with "$(pre-commit --version), doing nothing" "$PATH" precommit_idle; fi

echo "$(git --version), a commit of one file ($runs rounds)"
"$work/bin/sidebyside" -rounds "$runs" -warm 2 "${measured[@]}"
