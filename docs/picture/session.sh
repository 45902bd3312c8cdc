# The session of the picture in README.md, run by main.go on a terminal of its own:
# what stands here is typed, and all that is seen is what the programs print.

type() { printf '\e[97m$ %s\e[m\n' "$*"; eval "$*"; }

# Before the picture: two environments in one repository, and a branch on which a
# teammate gave a secret another value.
{
    git init -q
    git add -A && git commit -qm 'two environments'
    for env in dev prod; do
        git muxi-secrets -q -C formations/$env init
        echo sk-the-first-value | git muxi-secrets -q -C formations/$env add OPENAI_API_KEY --stdin
    done
    git add -A && git commit -qm 'secrets'
    git switch -qc bob
    echo sk-the-value-of-bob | git muxi-secrets -q -C formations/prod add OPENAI_API_KEY --stdin
    git commit -qam 'a new key from Bob'
    git switch -q main
    echo sk-the-value-of-ann | git muxi-secrets -q -C formations/prod add OPENAI_API_KEY --stdin
    git commit -qam 'a new key from Ann'
} >/dev/null 2>&1

cd formations/prod
type 'git muxi-secrets add BRAVE_SEARCH_API_KEY'
type 'git muxi-secrets list'
type 'git add -A; git commit -qm "search the web"'
type 'git muxi-secrets get BRAVE_SEARCH_API_KEY > deploy.env; git add -A; git commit -qm deploy'
git reset -q && rm deploy.env
type 'git merge bob'
type 'git muxi-secrets resolve OPENAI_API_KEY --theirs && git commit -qm "merge Bob"'
