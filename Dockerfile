# The program and nothing else: no git, no shell, no packages to keep up to date.
# It reads repositories by itself here, and needs neither network nor a writable
# disk for that.
#
#     make image
#     docker run --rm -v "$PWD:/repo:ro" git-muxi-secrets check --base origin/main
#
# The context holds one binary per platform: linux/amd64/git-muxi-secrets.
FROM scratch
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/git-muxi-secrets /git-muxi-secrets
WORKDIR /repo
ENTRYPOINT ["/git-muxi-secrets"]
