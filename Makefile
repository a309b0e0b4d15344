# Every command that a person needs. `make` alone lists them.
PYTHON ?= python3
TOOLS  := .venv/tools
DEMO   := .venv/demo
CARGO_C := .venv/cargo-c
MUTANTS := .venv/cargo-mutants
PREFIX ?= /usr/local
RELEASE := build.rs $(wildcard src/*.rs src/*/*.rs) Cargo.toml Cargo.lock pyproject.toml

.PHONY: help demo demo-client test proof breaks mutants lint bench bench-guard packaging install-c clean
.DEFAULT_GOAL := help

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(DEMO)/.ready  ## a real mail relay under four limiters: build, run, compare, plot
	$(DEMO)/bin/python -m tollbar demo --plot demo.png $(DEMO_ARGS)

demo-client: $(DEMO)/.ready  ## clients of an exchange that limits them, beside plain designs: run, compare, plot
	$(DEMO)/bin/python -m examples.exchange --plot demo-client.png $(DEMO_ARGS)

test:  ## everything: lints, Rust, packages, and the suite on every CPython that is here
	$(PYTHON) tests/everywhere.py

proof: $(TOOLS)/.ready  ## each guarantee of the README and a check of it, as a table; PROOF=short|usual|long
	$(TOOLS)/bin/python tests/proof.py $(PROOF_ARGS)

breaks:  ## break each guarantee on purpose and expect its check to fail; takes a while
	$(PYTHON) tests/breaks.py $(BREAKS_ARGS)

mutants: $(MUTANTS)/bin/cargo-mutants  ## break the core in every small way and list what no test notices; takes hours
	$(PYTHON) tests/mutants.py $(MUTANTS_ARGS)

lint: $(TOOLS)/.ready  ## rustfmt, clippy, ruff, mypy, stubtest
	cargo fmt --check
	cargo clippy --quiet --all-targets --features capi -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps --document-private-items
	PYO3_PYTHON=$(abspath $(TOOLS)/bin/python) cargo clippy --quiet --lib --features python -- -D warnings
	cargo fmt --check --manifest-path benches/governor/Cargo.toml
	cargo clippy --quiet --manifest-path benches/governor/Cargo.toml -- -D warnings
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	$(TOOLS)/bin/ruff check --quiet .
	$(TOOLS)/bin/ruff format --check --quiet .
	$(TOOLS)/bin/mypy python benches examples
	$(TOOLS)/bin/mypy tests/c tests/fuzz.py
	$(TOOLS)/bin/mypy tests/go/run.py
	$(TOOLS)/bin/mypy tests/typed
	$(TOOLS)/bin/python -m mypy.stubtest tollbar._tollbar

bench: $(DEMO)/.ready  ## side by side against other limiters, those on PyPI included, as ratios
	$(DEMO)/bin/python benches/install_peers.py
	$(DEMO)/bin/python benches/side_by_side.py $(BENCH_ARGS)

bench-guard: $(DEMO)/.ready  ## instructions per decision, against the numbers kept in the repository
	$(DEMO)/bin/python benches/guard.py $(GUARD_ARGS)

packaging:  ## wheel, sdist and `pip install .`, each into an empty environment
	$(PYTHON) tests/packaging.py

install-c:  ## the C library, its header and tollbar.pc, below PREFIX (/usr/local) and, for packagers, DESTDIR
	@cargo cinstall --version >/dev/null 2>&1 || test -x $(CARGO_C)/bin/cargo-cinstall || $(MAKE) $(CARGO_C)/bin/cargo-cinstall
	PATH="$(abspath $(CARGO_C))/bin:$$PATH" cargo cinstall --locked --release \
		--prefix '$(PREFIX)' --libdir '$(PREFIX)/lib' $(if $(DESTDIR),--destdir '$(DESTDIR)')

clean:  ## forget everything that was built
	cargo clean
	rm -rf .venv dist

# The released form, with what the demo and the benchmarks need beside it.
$(DEMO)/.ready: $(RELEASE) $(wildcard python/tollbar/*.py python/tollbar/*/*.py)
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --upgrade pip
	$(DEMO)/bin/python -m pip install --quiet '.[demo]'
	@touch $@

# Linters, and the package itself for stubtest to look at.
$(TOOLS)/.ready: $(RELEASE) python/tollbar/_tollbar.pyi $(wildcard python/tollbar/*.py python/tollbar/*/*.py)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --upgrade pip
	$(TOOLS)/bin/python -m pip install --quiet --group lint --group test maturin aiohttp aiosmtpd aiosmtplib matplotlib rich
	VIRTUAL_ENV=$(abspath $(TOOLS)) $(TOOLS)/bin/maturin develop --quiet --profile quick
	@touch $@

$(MUTANTS)/bin/cargo-mutants:
	cargo install --quiet --locked --root $(MUTANTS) cargo-mutants@27.1.0

# The last cargo-c that Rust 1.95 builds. It only drives a build, so it need not be fast itself.
$(CARGO_C)/bin/cargo-cinstall:
	CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		cargo install --quiet --locked --root $(CARGO_C) cargo-c@0.10.24
