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
# What is mounted here is the user's choice, whoever owns it outside.
ENV GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=/repo
ENTRYPOINT ["/git-muxi-secrets"]
