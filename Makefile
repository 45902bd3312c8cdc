# The commands of README.md and .ci/run, for those who type make.
.PHONY: build install test check bench

# The tag leaves out the Markdown renderer that only documentation builds of the
# CLI library need; it would cost a tenth of every start.
build:
	CGO_ENABLED=0 go build -tags urfave_cli_no_docs -trimpath -ldflags='-s -w' -o git-muxi-secrets .

install:
	go install .

test:
	go test ./...

check:
	.ci/run

bench:
	testdata/bench/main.sh
