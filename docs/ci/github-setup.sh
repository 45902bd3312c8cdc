#!/usr/bin/env bash
# Puts a git-muxi-secrets where the GitHub Action looks for it: one that runs the
# program's image, or a build of the action's own sources.
#
# The image runs where there is Docker on Linux and the action is used at a
# release's tag (uses: muxi-ai/git-muxi-secrets@v1.2.3), or where the input
# 'image' names one. Everywhere else, and with 'image: none', Go builds it.
set -euo pipefail

bin=$RUNNER_TEMP/git-muxi-secrets
mkdir -p "$bin"

build() {
    echo "building git-muxi-secrets from $GITHUB_ACTION_PATH"
    CGO_ENABLED=0 go build -C "$GITHUB_ACTION_PATH" -buildvcs=false -tags urfave_cli_no_docs -trimpath -o "$bin/git-muxi-secrets" .
    exit
}

image=${INPUT_IMAGE:-}
[ "$image" != none ] || build
named=$image
if [ -z "$image" ]; then
    # The folder's last part is what stands behind the @ in 'uses:'.
    release=${GITHUB_ACTION_PATH##*/}
    [[ $release =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || build
    [ "${RUNNER_OS:-Linux}" = Linux ] && command -v docker >/dev/null || build
    image=ghcr.io/muxi-ai/git-muxi-secrets:$release
fi

# Inside it: no network, nothing writable, no rights but those of the user who
# owns the checkout, whose path stays what it is.
printf '%s\n' "$image" >"$bin/image"
cat >"$bin/git-muxi-secrets" <<'EOF'
#!/usr/bin/env bash
set -euo pipefail
here=$(pwd -P)
mount() { local path=${1//\"/\"\"}; mounts+=(--mount "type=bind,\"src=$path\",\"dst=$path\",readonly"); } # a line of CSV
mounts=()
mount "$here"
if [ -n "${INPUT_BASELINE:-}" ]; then
    mount "$(realpath "$INPUT_BASELINE")"
fi
exec docker run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
    --user "$(id -u):$(id -g)" "${mounts[@]}" --workdir "$here" "$(<"${0%/*}/image")" "$@"
EOF
chmod +x "$bin/git-muxi-secrets"

# Tried once here, folder and all: a job that itself runs in a container has paths
# that the engine does not know.
if { docker image inspect "$image" || docker pull -q "$image"; } >/dev/null && INPUT_BASELINE='' "$bin/git-muxi-secrets" --version; then
    echo "using the image $image"
    exit
fi
if [ -n "$named" ]; then
    echo "::error::the image '$named' does not run here; 'image: none' builds the program instead"
    exit 3
fi
echo "::notice::the image '$image' does not run here"
rm -f "$bin/git-muxi-secrets"
build
