#!/usr/bin/env bash
# The steps of organisation.yml and of organisation-gitlab.yml: the whole history of
# many repositories, checked from one place.
#
#   organisation.sh groups <repositories.txt    for GitHub's matrix, as JSON
#   organisation.sh child <repositories.txt     the child pipeline for GitLab
#   organisation.sh check REPOSITORY...         writes findings/REPOSITORY.sarif, or .failed with the reason
#   organisation.sh summary repositories.txt    counts what is in findings/, in Markdown
#
# TOKEN is what the server lets read the repositories; git asks for it through a
# helper, so that it is in no argument, no address and no file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
server=${GITHUB_SERVER_URL:-https://github.com} user=x-access-token
[ -z "${CI_SERVER_URL:-}" ] || server=$CI_SERVER_URL user=gitlab-ci-token

# list prints the repositories of standard input. Their names become paths and
# parts of scripts, so nothing else is let in.
list() {
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e 's/^[[:space:]]*//' -e '/^$/d' | awk '
        !/^[A-Za-z0-9_.][A-Za-z0-9._-]*(\/[A-Za-z0-9_.][A-Za-z0-9._-]*)+$/ || /(^|\/)\.\.?(\/|$)/ { printf "no repository: \"%s\"; OWNER/NAME is one\n", $0 >"/dev/stderr"; exit bad = 2 }
        !seen[$0]++
        END { if (!bad && !NR) { print "the list of repositories is empty" >"/dev/stderr"; bad = 2 }; exit bad }'
}

# groups makes one group of each repository, and larger ones where there are more
# than 256: a matrix of GitHub has no more jobs than that.
groups() {
    list | jq -Rnc '[inputs] | . as $all | (length / 256 | ceil) as $size | [range(0; length; $size) as $i | $all[$i:$i + $size] | join(" ")]'
}

child() {
    cat <<'CHILD'
stages: [check, summary]
default:
  image: alpine:3
  before_script:
    - apk add -q --no-cache bash git jq
.check:
  stage: check
  needs:
    - pipeline: $PREPARED_IN
      job: prepare
  script:
    - TOKEN=$CI_JOB_TOKEN bash program/organisation.sh check "$REPOSITORY"
  artifacts:
    when: always
    paths: [findings, program/organisation.sh, program/repositories.txt]
summary:
  stage: summary
  when: always
  script:
    - bash program/organisation.sh summary program/repositories.txt | tee summary.md
  artifacts:
    when: always
    paths: [findings, summary.md]
CHILD
    list | sed 's|.*|"&":\n  extends: .check\n  variables:\n    REPOSITORY: "&"|'
}

failed() {
    printf '%s\n' "$2" >"findings/$1.failed"
    [ "${GITHUB_ACTIONS:-}" != true ] || printf '::error::'
    printf '%s %s\n' "$1" "$2"
}

check() {
    local status=0 repository
    chmod +x "$here/git-muxi-secrets" 2>/dev/null || true # an artifact has no modes
    PATH=$here:$PATH
    clone=$(mktemp -d)
    trap 'rm -rf "$clone"' EXIT
    for repository in "$@"; do
        check_one "$repository" || status=1
        rm -rf "$clone"
    done
    exit "$status"
}

# check_one clones without a work tree: nothing of what is checked is run, and no
# filter of it.
check_one() {
    local code=0 count findings=findings
    mkdir -p "findings/${1%/*}"
    if ! GIT_TERMINAL_PROMPT=0 git -c credential.helper= -c "credential.$server.helper"='!printf "username=%s\npassword=%s\n" '"$user"' "${TOKEN-}"; :' \
        clone -q --bare -- "$server/$1.git" "$clone"; then
        failed "$1" 'cannot be cloned'
        return 1
    fi
    (cd "$clone" && git-muxi-secrets check --history --format sarif) >"findings/$1.sarif" || code=$?
    if [ "$code" -gt 1 ]; then
        rm "findings/$1.sarif"
        failed "$1" "cannot be checked (exit $code)"
        return 1
    fi
    count=$(counted "$1" | wc -l)
    [ "$code" = 0 ] || [ "${GITHUB_ACTIONS:-}" != true ] || printf '::error::'
    [ "$count" != 1 ] || findings=finding
    printf '%s has %d %s\n' "$1" "$count" "$findings"
    return "$code"
}

# counted prints the rule of each finding of a repository that nothing silences.
counted() { jq -r '.runs[].results[] | select(.suppressions == null) | .ruleId' "findings/$1.sarif"; }

# summary exits 1 where a repository was not checked: findings have made their own
# job red.
summary() {
    local repository all=0 clean=0 missing=() rules=()
    table=$(mktemp)
    trap 'rm -f "$table"' EXIT
    while read -r repository; do
        all=$((all + 1))
        if [ -e "findings/$repository.sarif" ]; then
            counted "$repository" | sed "s|^|$repository |" >"$table.one"
            [ -s "$table.one" ] || clean=$((clean + 1))
            cat "$table.one" >>"$table"
            rm "$table.one"
        elif [ -e "findings/$repository.failed" ]; then
            missing+=("$repository $(<"findings/$repository.failed")")
        else
            missing+=("$repository was not checked")
        fi
    done < <(list <"$1")

    printf '## Secrets in the history of %d repositories\n\n' "$all"
    if [ "${#missing[@]}" != 0 ]; then
        printf -- '- **%s**\n' "${missing[@]}"
        echo
    fi
    if [ -s "$table" ]; then
        mapfile -t rules < <(cut -d' ' -f2 "$table" | sort -u)
        awk -v rules="${rules[*]}" '
            BEGIN { n = split(rules, rule, " "); for (i = 1; i <= n; i++) { head = head " " rule[i] " |"; line = line "--:|" } print "| repository |" head "\n|---|" line }
            function row(name, of,   i, text) { for (i = 1; i <= n; i++) text = text " " count[of, rule[i]] " |"; print "| " name " |" text }
            !seen[$1]++ { order[++m] = $1 }
            { count[$1, $2]++; count["", $2]++ }
            END { for (i = 1; i <= m; i++) row(order[i], order[i]); row("**all**", "") }' "$table"
        echo
    fi
    echo "$clean of them have no findings."
    [ "${#missing[@]}" = 0 ]
}

case ${1:-} in
groups | child | check | summary) "$@" ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
