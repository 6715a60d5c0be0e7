# Thin on purpose: scripts/setup installs what is missing, meson builds.
#
#   make build      the program, at build/cli/yomo
#   make run        the backend with the demo page on http://localhost:8080
#   make test       everything that is tested on each change
#   make test-all   the same, the full matrix, and a Debian 13 root
#   make interop    foreign implementations; writes the tables of docs/interop.md
#   make bench      benchmarks, of its own and beside others; ARGS=--quick: some minutes
#   make clean      remove what was built (the installed packages stay)

.PHONY: build run test test-all interop bench clean

build:
	@scripts/configure build
	@ninja -C build --quiet

run:
	@scripts/configure build
	@ninja -C build --quiet cli/yomo
	@build/cli/yomo serve $(ARGS)

test:
	@scripts/test

test-all:
	@scripts/test --all
	@scripts/test-debian13

interop:
	@scripts/setup
	@scripts/configure build
	@ninja -C build --quiet
	@meson test -C build --no-rebuild --suite interop || true
	@YOMO_BUILD_ROOT=build tests/interop/run.py table

bench:
	@scripts/configure build-bench --buildtype=release -Dbenchmarks=enabled \
		-Dtests=disabled -Dexamples=disabled
	@ninja -C build-bench --quiet
	@scripts/bench build-bench $(ARGS)

clean:
	rm -rf build build-*
