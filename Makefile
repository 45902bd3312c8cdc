# The commands of README.md and .ci/run, for those who type make.
.PHONY: build install test check bench

build:
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o git-muxi-secrets .

install:
	go install .

test:
	go test ./...

check:
	.ci/run

bench:
	testdata/bench/main.sh
