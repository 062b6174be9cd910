# The two lines a newcomer needs: `make run` and `make test`. Everything else is for those who work on it.
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: help build run test check conformance bench fuzz fmt install clean

help:
	@sed -n 's/^## //p' Makefile

## make run          set up, build and start a server on localhost; prints how to connect
run: build
	scripts/run $(BUILD)

## make test         set up and run every test (unit, fuzz corpora, e2e, conformance, sanitizers, checks)
test:
	scripts/deps build test
	scripts/test

## make build        build/cjabberd and build/cjabberdctl
build: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS) cjabberd cjabberdctl

$(BUILD)/build.ninja:
	scripts/deps build
	meson setup $(BUILD) --buildtype=release

## make check        quick tests: unit tests, fuzz corpora, house rules (under two minutes)
check:
	scripts/deps build check
	scripts/check

## make conformance  replay the recorded exchanges against build/cjabberd
conformance: build
	scripts/deps test
	tests/conformance/run.py --build $(BUILD)

## make bench        cjabberd, ejabberd and Prosody side by side; ARGS="--only chat --quick"
bench:
	scripts/deps build bench
	test -d build-bench || meson setup build-bench --buildtype=release
	ninja -C build-bench -j $(JOBS) cjabberd cjabberdctl bench/load/load
	bench/run.py --binary build-bench/cjabberd $(ARGS)

## make fuzz         every fuzz target for a while; SECONDS=60 each
fuzz:
	scripts/deps build fuzz
	scripts/fuzz

## make fmt          repair white space; says what else the house's format asks for
fmt:
	tools/fmtcheck --fix

## make install      system layout with unit file and man pages (DESTDIR is honoured)
install: build
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-*
