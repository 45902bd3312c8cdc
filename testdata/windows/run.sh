#!/usr/bin/env bash
# The program for Windows, run: by wine, on a machine with Linux.
#
#   usage: testdata/windows/run.sh [SCRATCH]
#
# The tests of the rooms that need no git program, then the main job with the built
# program: a formation made, secrets added, shared, checked and rotated, sixteen
# writers at once, and writers killed in the middle. SCRATCH is a folder for all that
# is made (a new one that is removed at the end); ROOMS= are the packages to test.
#
# Needs Go, git, age, wine and GNU binutils for x86_64-w64-mingw32 (Debian: wine
# wine64 binutils-mingw-w64-x86-64). It wants no screen and leaves ~/.wine alone.
# Exit codes: 0 all holds, 1 something does not, 2 a program is missing.
#
# What this cannot show: docs/windows.md.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
top=$PWD

for program in go git age-keygen wine x86_64-w64-mingw32-ld; do
    command -v "$program" >/dev/null && continue
    echo "windows: $program is not installed" >&2
    exit 2
done

if [ $# -gt 0 ]; then mkdir -p "$1" && scratch=$(cd "$1" && pwd); else scratch=$(mktemp -d); fi
export WINEPREFIX=$scratch/prefix WINEARCH=win64 WINEDEBUG=-all
export WINEDLLOVERRIDES='mscoree,mshtml,winemenubuilder.exe=' # no .NET, no browser, no menus
export GOOS=windows GOARCH=amd64 CGO_ENABLED=0
unset DISPLAY WAYLAND_DISPLAY CI # tests that want git are skipped here, wherever this runs
for name in $(compgen -e); do
    case $name in GIT_*|AGE_*|SHELL) unset "$name" ;; esac
done

# server finds wine's own program beside wine, which Debian keeps off PATH.
server() { "$(command -v wineserver || ls /usr/lib/wine/wineserver64 /usr/lib/wine/wineserver 2>/dev/null | head -n 1)" "$@"; }
cleanup() {
    timeout 20 bash -c "$(declare -f server); server -k" 2>/dev/null
    [ $# -gt 0 ] || rm -rf "$scratch"
}
if [ $# -gt 0 ]; then trap 'cleanup keep' EXIT; else trap cleanup EXIT; fi

passed=0 failed=0
ok() { passed=$((passed + 1)); echo "  ok    $1"; }
no() { failed=$((failed + 1)); echo "  FAIL  $1"; [ $# -lt 2 ] || sed 's/^/        /' <<<"$2" | head -n 40; }

# holds TEXT COMMAND...: whether a command on this side says yes.
holds() {
    local text=$1
    shift
    if "$@" >/dev/null 2>&1; then ok "$text"; else no "$text" "$*"; fi
}

# --- a Windows -----------------------------------------------------------------

wine --version
timeout 300 wine wineboot -i >"$scratch/boot" 2>&1 || { cat "$scratch/boot"; echo 'windows: wine does not start' >&2; exit 1; }

# Go's start needs ProcessPrng, which wine has from version 9 on. It is what
# SystemFunction036 (RtlGenRandom) does: a DLL without code that says so.
system=$WINEPREFIX/drive_c/windows/system32
if [ ! -e "$system/bcryptprimitives.dll" ]; then
    printf 'LIBRARY bcryptprimitives.dll\nEXPORTS\n  ProcessPrng = advapi32.SystemFunction036\n' >"$scratch/prng.def"
    x86_64-w64-mingw32-as -o "$scratch/prng.o" /dev/null &&
        x86_64-w64-mingw32-ld -shared -o "$system/bcryptprimitives.dll" "$scratch/prng.o" "$scratch/prng.def" || exit 1
fi

# --- the tests -----------------------------------------------------------------

# Not here: commands, hooks and what is in them (nearly every test makes a repository
# with git), docs and packaging (of Linux).
rooms=${ROOMS-./crypto ./formation ./formation/safefile ./scan ./gitutil ./gitutil/paths ./gitutil/wildmatch ./commands/shell ./commands/tty ./commands/doctor}

# And not those that only show how much of a hostile or a large file is read.
large='^(TestHostileFiles.*|TestUnread|TestArchivesAreStreamed)$'

# wine cannot delete by handle, as Go's os.RemoveAll does: where a test's folder stays
# behind (in the prefix, which goes as a whole), that fails no test.
testing=$(go env GOROOT)/src/testing/testing.go
sed 's/c\.Errorf("TempDir RemoveAll cleanup/c.Logf("TempDir RemoveAll cleanup/' "$testing" >"$scratch/testing.go"
printf '{"Replace": {"%s": "%s"}}' "$testing" "$scratch/testing.go" >"$scratch/overlay.json"
printf '#!/bin/sh\nexec wine "$@"\n' >"$scratch/wine.sh"
chmod +x "$scratch/wine.sh"

tests() {
    local code=0
    echo 'tests'
    timeout 900 go test -overlay "$scratch/overlay.json" -exec "$scratch/wine.sh" -short -skip "$large" -count=1 -v -timeout 5m $rooms >"$scratch/tests" 2>&1 </dev/null || code=$?
    tr -d '\r' <"$scratch/tests" | grep -av 'TempDir RemoveAll cleanup' >"$scratch/tests.lf"
    grep -aE '^(ok|FAIL)\s' "$scratch/tests.lf" | sed 's/^/  /'
    echo "  $(grep -acE '^--- PASS' "$scratch/tests.lf") passed, $(grep -acE '^--- FAIL' "$scratch/tests.lf") failed, $(grep -acE '^--- SKIP' "$scratch/tests.lf") skipped, for want of:"
    grep -aB 1 -E '^ *--- SKIP' "$scratch/tests.lf" | sed -nE 's/^ +[a-z_]+\.go:[0-9]+: ((symbolic links):.*|(.*))$/\2\3/p' | sort | uniq -c | sort -rn | head -n 12
    if [ "$code" = 0 ]; then ok 'the tests of the rooms'; else no 'the tests of the rooms' "$(grep -avE '^(=== |--- PASS|    --- PASS|PASS$)' "$scratch/tests.lf" | tail -n 200)"; fi
}
[ -z "$rooms" ] || tests

# --- the main job --------------------------------------------------------------

echo 'the program'
exe=$scratch/git-muxi-secrets.exe
go build -o "$exe" . || exit 1
GOOS='' GOARCH='' go build -o "$scratch/git-muxi-secrets" . || exit 1 # the same, here
ours() { "$scratch/git-muxi-secrets" "$@"; }

# muxi runs the program; what it said is in $scratch/out and err.
muxi() { timeout 120 wine "$exe" "$@" >"$scratch/out" 2>"$scratch/err"; }

# does CODE TEXT ARGS...: the program ends with that code.
does() {
    local code=0 want=$1 text=$2
    shift 2
    muxi "$@" || code=$?
    if [ "$code" = "$want" ]; then ok "$text"; else no "$text: exit $code, not $want" "$(cat "$scratch/out" "$scratch/err")"; fi
}

# has NAME VALUE: what is stored, by the program of each system.
has() {
    local value
    printf '%s' "$2" >"$scratch/want"
    muxi get "$1"
    if ! cmp -s "$scratch/out" "$scratch/want"; then no "$1 as stored"; return; fi
    value=$(ours get "$1")
    if [ "$value" = "$2" ]; then ok "$1 as stored, here and on Windows"; else no "$1 as Linux reads it"; fi
}

# said TEXT PATTERN: the last command's output has a line like that.
said() { holds "$1" grep -qE "$2" "$scratch/out" "$scratch/err"; }

work="$WINEPREFIX/drive_c/a folder/work"
mkdir -p "$work/formations/my agent"
cd "$work" || exit 1
git init -q . && git config user.name Test && git config user.email test@example.com
cd 'formations/my agent' || exit 1
printf 'schema: "1.0.0"\nid: mine\nllm:\n  api_keys:\n    openai: "${{ secrets.OPENAI_API_KEY }}"\n' >formation.afs

does 0 'init' init
printf 'sk-made-up-0001\r\n' >"$scratch/in"
does 0 'add --stdin, ended as PowerShell does' add OPENAI_API_KEY --stdin <"$scratch/in"
has OPENAI_API_KEY sk-made-up-0001
printf 'two\r\nlines and a café\r\n\tend' >"$scratch/in"
does 0 'add --from-file, of another drive' add FROM_FILE --from-file "Z:${scratch//\//\\}\\in"
has FROM_FILE "$(cat "$scratch/in")"
does 0 'list' list
said 'list masks' 'OPENAI_API_KEY: sk-\*\*\*\*'
holds 'files as everywhere: no CR, .key without a newline' bash -c '! grep -q $'"'\\r'"' secrets .gitignore .gitattributes && [ "$(wc -c <.key)" = 44 ]'
does 0 'nothing is found' check
said 'and something was looked at' 'checked [1-9][0-9]* files'
printf 'token: sk-made-up-0001\n' >leak.yaml
does 1 'a leak is found' check
said 'by its path with /' 'formations/my agent/leak\.yaml:1'
rm leak.yaml
printf 'ONE=1-from-windows\r\nTWO="2 from windows"\r\n' >"$WINEPREFIX/drive_c/a folder/in.env"
does 0 'import of a file with CR LF, by a path without its drive' import '\a folder\in.env' --all
has ONE 1-from-windows
has TWO '2 from windows'
does 0 'rename' rename OPENAI_API_KEY MAIN_KEY
holds 'rename edits the files' grep -q 'secrets.MAIN_KEY' formation.afs
does 1 'delete refuses what is in use' delete MAIN_KEY
does 0 'delete' delete TWO
does 0 'export' export --format json --output '..\..\..\out.json'
holds 'export writes' grep -q 1-from-windows ../../../out.json
does 0 'render' render
does 0 'status' status

echo 'sharing'
identity="$WINEPREFIX/drive_c/a folder/keys.txt"
rm -f "$identity"
age-keygen -o "$identity" 2>/dev/null
person=$(age-keygen -y "$identity")
does 0 'share add' share add "$person" --name Ann
holds '.key.age is there' test -s .key.age
does 0 'share list' share list
cp .key "$scratch/key"
rm .key
rm -rf "$work/.git/muxi-secrets/keys"
does 4 'without a key nothing is read' get ONE
does 0 'unlock' unlock --identity 'C:\a folder\keys.txt'
holds 'unlock gives the very bytes' cmp .key "$scratch/key"

# MUXI makes .key with mode 0400, which is the read-only attribute here.
chmod 0400 .key
does 0 'rotate replaces a read-only .key' rotate
holds 'the key is another' bash -c "! cmp -s .key '$scratch/key'"
has ONE 1-from-windows
cp .key "$scratch/key2"
cp "$scratch/key" .key
chmod 0400 .key
does 0 'unlock replaces a read-only .key' unlock --identity 'C:\a folder\keys.txt'
holds 'by the one in use' cmp .key "$scratch/key2"
git -C "$work" add -A && git -C "$work" commit -qm 'the vault' || no 'commit'
does 0 'get --rev, by the reader of repositories that is built in' get ONE --rev HEAD
does 0 'log' log
does 0 'share remove' share remove Ann
holds 'and makes another key' bash -c "! cmp -s .key '$scratch/key2'"
does 0 'diff' diff
does 0 'convert to age' convert --to age
has ONE 1-from-windows
does 0 'convert to fernet' convert --to fernet
has FROM_FILE "$(printf 'two\r\nlines and a café\r\n\tend')"

# Whatever doctor says to type is for the shell it was called from.
echo 'remedies'
cp .key .key.copy
there='cd /d "C:\a folder\work\formations\my agent"'
printf '%s\r\n' "$there" "\"Z:${exe//\//\\}\" doctor" >"$scratch/doctor.bat"
timeout 120 wine cmd /d /q /c "Z:${scratch//\//\\}\\doctor.bat" >"$scratch/out" 2>"$scratch/err" </dev/null
holds 'nothing of a POSIX shell' bash -c "! grep -E '^ +(export|mv|cp|rm|ls|touch|command|chmod) ' '$scratch/out'"
said 'what cmd takes' '^ +set "PATH=%PATH%;Z:'
tr -d '\r' <"$scratch/out" | sed -nE 's/^ +(move .*)/\1/p' | head -n 1 >"$scratch/remedy"
printf '%s\r\n' "$there" "$(cat "$scratch/remedy")" >"$scratch/remedy.bat"
timeout 120 wine cmd /d /q /c "Z:${scratch//\//\\}\remedy.bat" >"$scratch/out" 2>"$scratch/err" </dev/null
holds "cmd takes it as it stands: $(cat "$scratch/remedy")" bash -c '[ ! -e .key.copy ] && [ -e .key ]'
rm -f .key.copy

echo 'sixteen writers'
# One that has waited for the others too long says so (3) and is called again.
writer() {
    local code
    for _ in 1 2 3 4 5 6; do
        code=0
        printf 'value %s' "$1" | timeout 180 wine "$exe" add "WRITER_$1" --stdin >/dev/null 2>"$scratch/writer.$1" || code=$?
        [ "$code" = 3 ] && grep -q 'waited 30' "$scratch/writer.$1" || return "$code"
    done
}
writers=()
for i in $(seq 16); do
    writer "$i" &
    writers+=($!)
done
lost=0
for i in "${!writers[@]}"; do
    wait "${writers[$i]}" || { lost=$((lost + 1)); cat "$scratch/writer.$((i + 1))"; }
done
holds 'each ends with 0' test "$lost" = 0
for i in $(seq 16); do
    [ "$(ours get "WRITER_$i")" = "value $i" ] || { lost=$((lost + 1)); echo "        WRITER_$i is lost"; }
done
holds 'no value is lost' test "$lost" = 0
does 0 'the template has them' sync --check

echo 'writers that are killed'
# killed COMMAND...: kills it once it has begun to write: a temp file, or the journal,
# is there. All is as before then, or done; the next command sees to that.
killed() {
    local vault
    vault=$(sha256sum secrets.enc)
    wine "$exe" "$@" </dev/null >/dev/null 2>&1 &
    local pid=$! end=$((SECONDS + 100))
    while [ $SECONDS -lt $end ]; do
        if compgen -G '.muxi-secrets-tmp-*' >/dev/null; then began=$((began + 1)); break; fi
        kill -0 "$pid" 2>/dev/null || break
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    [ "$vault" = "$(sha256sum secrets.enc)" ] && before=$((before + 1))
}
began=0 before=0 broken=0 tried=0
for i in $(seq 16); do
    [ "$began" -lt 6 ] || break # a write is short: not each is met
    tried=$i
    case $((i % 4)) in
    0) killed rotate ;;
    1) killed add "KILLED_$i" --generate ;;
    2) killed rename "WRITER_$i" "MOVED_$i" ;;
    3) killed delete "WRITER_$i" ;;
    esac
    muxi list --names || { broken=$((broken + 1)); cat "$scratch/err"; }
    ours list --names | cmp -s - <(tr -d '\r' <"$scratch/out") || { broken=$((broken + 1)); echo '        two systems list two things'; }
    [ "$(ours get ONE)" = 1-from-windows ] || { broken=$((broken + 1)); echo '        ONE is lost'; }
done
holds "$began of $tried were writing; the vault was still the old one in $before; the next command reads all" test "$broken" = 0
holds 'at least two were writing' test "$began" -ge 2
printf x >"$scratch/in"
does 0 'the next writer' add AFTER --stdin <"$scratch/in"
holds 'nothing is left lying about' bash -c '! compgen -G ".muxi-secrets-*"'
does 0 'nothing is found' check

echo "windows: $passed hold, $failed do not"
[ "$failed" = 0 ]
