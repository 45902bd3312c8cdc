#!/bin/sh
# Builds the image git-muxi-secrets-test/runtime on this machine: Debian with
# Python's cryptography, made by debootstrap since nothing is pulled, and the
# loader. The tree is kept in a folder for temporary files and made once.
# Needs root, debootstrap and docker; DOCKER_HOST says which engine.
set -eu
# debootstrap knows no virtual packages: python3-cffi-backend is named for one.
here=$(cd "$(dirname "$0")" && pwd)
cache=${GIT_MUXI_SECRETS_DOCKER_CACHE:-${TMPDIR:-/tmp}/git-muxi-secrets-docker}
base=git-muxi-secrets-test/base
tar=$cache/bookworm-1.tar # counts up when what is in it changes

umask 022
mkdir -p "$cache"
# What is imported becomes a program: it must be nobody else's.
[ -O "$cache" ] || { echo "'$cache' belongs to another user" >&2; exit 1; }
exec 9>"$cache/lock"
flock 9
if [ ! -e "$tar" ]; then
    work=$(mktemp -d "$cache/root.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    debootstrap --variant=minbase --include=python3-cryptography,python3-cffi-backend,python3-yaml bookworm "$work" >"$cache/log" 2>&1 ||
        { tail -n 20 "$cache/log" >&2; exit 1; }
    rm -rf "$work"/var/cache/apt/archives/*.deb "$work"/var/lib/apt/lists/* "$work"/usr/share/doc "$work"/usr/share/locale "$work"/dev
    mkdir "$work/dev"
    tar -C "$work" -cf "$tar.new" .
    mv "$tar.new" "$tar"
fi
docker image inspect "$base" >/dev/null 2>&1 || docker import "$tar" "$base" >/dev/null
# The loader of this checkout, every time.
DOCKER_BUILDKIT=0 docker build --network none -q -t git-muxi-secrets-test/runtime "$here" 2>/dev/null
