# The commands of README.md and .ci/run, for those who type make.
.PHONY: build install test check bench cover image tools release-tools snapshot release

# What --version prints. Empty outside of a clone: Go's own record is used then.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

# The same bytes wherever and whenever they are built, with one version of Go
# ('go version -m' tells which): no paths, no clock, nothing of the machine. The
# tag leaves out the Markdown renderer that only documentation builds of the CLI
# library need; it would cost a tenth of every start. .goreleaser.yaml has the
# same flags.
BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags=urfave_cli_no_docs -ldflags='-s -w -X github.com/muxi-ai/git-muxi-secrets/commands.version=$(VERSION)'

build:
	$(BUILD) -o git-muxi-secrets .

install:
	go install .

test:
	go test ./...

check:
	.ci/run

bench:
	testdata/bench/main.sh

# How much of each package the tests run, with and without the programs that they
# start.
cover:
	testdata/cover/main.sh

# The image of this machine's architecture, for trying it out. It holds the
# program alone, so nothing is pulled.
IMAGE ?= git-muxi-secrets
ARCH = $(shell go env GOARCH)
image:
	rm -rf dist/image
	GOOS=linux $(BUILD) -o dist/image/linux/$(ARCH)/git-muxi-secrets .
	docker build --build-arg TARGETPLATFORM=linux/$(ARCH) -t $(IMAGE) -f Dockerfile dist/image

# What the tests of a release need: the packager and the lister that GoReleaser
# uses, and its configuration's own reader. Newer ones of the first than 2.45
# draw in a packager for Windows.
tools:
	go install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
	go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
	cd packaging/goreleaser-config && go install .

# GoReleaser itself takes four minutes to build.
release-tools: tools
	go install github.com/goreleaser/goreleaser/v2@v2.15.2

# Everything a release has, in dist/, and nothing published. The image's step
# needs docker buildx: SKIP=publish,docker does without.
SKIP ?= publish
snapshot:
	goreleaser check
	goreleaser release --snapshot --clean --skip=$(SKIP)

# Publishes the tag that HEAD is at, as a draft.
release:
	goreleaser check
	goreleaser release --clean

# The session shown in README.md, run again.
.PHONY: picture
picture:
	docs/picture/make.sh
