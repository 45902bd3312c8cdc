#!/bin/sh
# Makes the repository that people come from: sh make.sh FOLDER
#
# A formation with eleven keys in its files, a .env and a .key that git tracks, a
# vault from another tool, and husky for the hooks. One commit was pushed (to
# FOLDER.git), with the .key, the .env and one of the keys; the other ten are in a
# commit that no remote has. The program must be on PATH for the vault.
set -e
test -n "$1" || { echo "usage: make.sh FOLDER" >&2; exit 2; }
git init -q "$1"
cd "$1"

# No key stands here as one: this file is looked at, too.
body=K3rt9XmPq2LwZ7vB4nY6cD8s
key() { printf '%s%s%s' "$1" "$2" "$body"; }

mkdir -p formations/bot/agents formations/bot/mcp formations/bot/a2a formations/bot/triggers .husky/_
cat > formations/bot/formation.afs <<END
schema: "1.0.0"
id: bot
description: Answers questions  # for the team

llm:
  api_keys:
    openai: "$(key sk-proj- Aa1)"   # Ann's
  models:
    - text: "openai/gpt-4o"
agents:
  - helper
END
cat > .env <<END
# what the bot needs
OPENAI_API_KEY=$(key sk-proj- Aa1)
STRIPE_KEY=$(key sk_live_ Bb2)
DEBUG=true
PORT=8080
END
cat > formations/bot/agents/helper.afs <<END
schema: "1.0.0"
id: helper
name: Helper
END

# The vault, as it is without what git has to know of it.
git muxi-secrets -C formations/bot init --no-hooks -q
printf %s "an older value" | git muxi-secrets -C formations/bot -q add OLD_TOKEN --stdin
rm -rf formations/bot/.gitignore formations/bot/.gitattributes .git/muxi-secrets .git/info/exclude .gitignore .gitattributes
for driver in diff.muxi-secrets merge.muxi-secrets merge.muxi-secrets-template merge.muxi-secrets-people; do
	git config --remove-section "$driver" || true
done 2>/dev/null

# husky: its folder as 'npx husky' makes it.
echo '{"devDependencies": {"husky": "^9"}, "scripts": {"prepare": "husky"}}' > package.json
echo 'echo "the project checks itself"' > .husky/pre-commit
echo '*' > .husky/_/.gitignore
cat > .husky/_/h <<'END'
#!/usr/bin/env sh
n=$(basename "$0")
s=$(dirname "$(dirname "$0")")/$n
[ ! -f "$s" ] && exit 0
sh -e "$s" "$@"
END
for hook in pre-commit pre-merge-commit commit-msg pre-push post-merge; do
	printf '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n' > ".husky/_/$hook"
done
chmod +x .husky/_/*
git add -A .
git commit -q -m "The bot"
git config core.hooksPath .husky/_

git init -q --bare "../$(basename "$PWD").git"
git remote add origin "../$(basename "$PWD").git"
git push -q -u origin HEAD

cat >> formations/bot/formation.afs <<END
server:
  api_keys: {admin_key: $(key adm Cc3), client_key: '$(key cli Dd4)'}
memory:
  persistent:
    connection_string: postgresql://bot:$(key pw Ee5)@db.internal:5432/bot
async:
  webhook_secret: "$(key whs Ff6)"
END
sed 's/openai: /anthropic: "'"$(key sk-ant-api03- Gg7)"'"\n    openai: /' formations/bot/formation.afs > formation.tmp
mv formation.tmp formations/bot/formation.afs
cat >> formations/bot/agents/helper.afs <<END
tools:
  - name: crm
    token: $(key crm Kk1)
END
cat > formations/bot/mcp/github.afs <<END
id: github
type: command
command: npx
args: ["-y", "@modelcontextprotocol/server-github"]
auth:
  type: env
  GITHUB_TOKEN: $(key ghp_ Hh8Zq4Tn1Vw9)
END
cat > formations/bot/mcp/search.afs <<END
id: search
type: command
command: npx
args:
  - server-search
  - '--config={"apiKey": "$(key sk-or-v1- Ii9)", "limit": 5}'
END
cat > formations/bot/a2a/billing.afs <<END
id: billing
url: https://billing.internal/a2a
auth:
  type: bearer
  token: >-
    $(key bil Jj0)
END
cat > formations/bot/triggers/report.md <<END
---
webhook: "https://hooks.slack.com/services/T0AB12CD3/B0AB12CD3/$(key '' '')"
---
Report what came in.
END
git add -A .
git commit -q -m "More of the bot"
