#!/bin/sh
# How much of each package its tests run: those of the package itself, those of all
# packages, and those with the programs that they start (hooks, drivers, scripts),
# each of which notes at its end what it ran.
#
#   testdata/cover/main.sh                     every package
#   testdata/cover/main.sh -short ./hooks/...  some, with flags of go test
#
# Packages that are named are judged by their own tests alone. KEEP=DIR keeps there
# what go tool cover reads: all.txt, process.txt, and one file for each package.
set -eu
cd "$(dirname "$0")/../.."
top=$(pwd)

flags=
while :; do
	case ${1-} in
	-*) flags="$flags -test.${1#-}" && shift ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || set -- ./...

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # tests run as another user, too
mkdir -m 1777 "$work/started"
module=$(go list -m)
product=$(go list -deps . | grep "^$module" | paste -sd, -)

status=0
go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "$@" >"$work/packages"
while read -r package dir; do
	[ -n "$package" ] || continue
	own=$work/own/$package
	mkdir -p "$own"
	go test -c -cover -coverpkg="$product" -o "$work/program.test" "$package" 2>"$work/said" || { cat "$work/said" >&2 && exit 1; }
	# shellcheck disable=SC2086 # flags are words
	(cd "$dir" && GOCOVERDIR=$work/started "$work/program.test" -test.gocoverdir="$own" $flags) >"$work/said" 2>&1 </dev/null || {
		echo "$package: its tests fail"
		grep -e '--- FAIL' -e '^panic' "$work/said" | head -20
		status=1
	} >&2
	go tool covdata textfmt -i="$own" -o="$own/text"
	printf '%s ' "${package#"$module"}" >&2
done <"$work/packages"
echo >&2

find "$work/own" -name text -exec cat {} + | grep -v '^mode:' >"$work/process"
go tool covdata textfmt -i="$work/started" -o="$work/text"
[ -f "$work/text" ] || : >"$work/text" # nothing was started
grep -v '^mode:' "$work/text" | cat "$work/process" - >"$work/all"

# percent NAME FILE [PACKAGE]: lines "NAME PACKAGE RUN STATEMENTS" of a profile.
percent() {
	awk -v name="$1" -v only="${3-}" '
		{ place = $1; sub(/:.*/, "", place); sub(/\/[^\/]*$/, "", place)
		  if (only != "" && place != only) next
		  size[$1] = $2; of[$1] = place; if ($3 > 0) ran[$1] = 1 }
		END { for (at in size) { all[of[at]] += size[at]; if (at in ran) done[of[at]] += size[at] }
		      for (p in all) print name, p, done[p] + 0, all[p] }' "$2"
}

while read -r package dir; do
	[ -z "$package" ] || percent own "$work/own/$package/text" "$package"
done <"$work/packages" >"$work/rows"
percent process "$work/process" >>"$work/rows"
percent all "$work/all" >>"$work/rows"
awk -v module="$module" '
	function part(run, of) { return of ? sprintf("%.1f", 100 * run / of) : "-" }
	{ run[$1, $2] = $3; of[$1, $2] = $4; seen[$2]; sumRun[$1] += $3; sumOf[$1] += $4 }
	END {
		printf "%-24s %8s %12s %14s\n", "% of statements", "own", "all tests,", "and what they"
		printf "%-24s %8s %12s %14s\n", "", "tests", "in process", "start"
		for (p in seen) {
			name = substr(p, length(module) + 2)
			printf "%-24s %8s %12s %14s\n", name ? name : "main", part(run["own", p], of["own", p]), part(run["process", p], of["process", p]), part(run["all", p], of["all", p]) | "sort"
		}
		close("sort")
		printf "%-24s %8s %12s %14s\n", "together", part(sumRun["own"], sumOf["own"]), part(sumRun["process"], sumOf["process"]), part(sumRun["all"], sumOf["all"])
	}' "$work/rows"

if [ -n "${KEEP-}" ]; then
	cd "$top" && mkdir -p "$KEEP"
	for name in process all; do
		{ echo 'mode: set' && sort -u "$work/$name"; } >"$KEEP/$name.txt"
	done
fi
exit $status
