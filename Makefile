# All that is done to this project by hand or by machine. `make help` lists it.
#
# Everything runs in a virtual environment of its own; a stamp file in it says that it
# is as pyproject.toml wants it, so that a second run starts at once.

# Without compiled modules each of the many processes of the tests starts at half speed.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
FUZZ_STAMP := $(VENV)/.installed-fuzz
AIMOCK_STAMP := $(VENV)/npm/apis/.installed
CLIS_STAMP := $(VENV)/npm/clis/.installed
TESTS ?=
SEEDS ?= 1000
MINUTES ?= 10
HOURS ?= 1
KILLS ?=
SAMPLE ?=
STEPS ?=

.DEFAULT_GOAL := help
.PHONY: help venv install fmt lint types test check soak sim chaos fuzz mutants proof
.PHONY: bench bench-peers demo wheel clean test-clis

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

venv: $(STAMP)  ## the virtual environment with all that development needs

install: venv  ## the same; then `.venv/bin/ipcbus` works
	@echo "ready: $(BIN)/ipcbus"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ipcbus needs Python 3.11 or newer, and $(PYTHON) is" \
	    "`$(PYTHON) --version 2>&1`; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

fmt: venv  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

lint: venv  ## style and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv  ## mypy --strict over the package, bridges, tests and benchmarks
	$(BIN)/mypy

test: venv $(AIMOCK_STAMP)  ## all tests but the long ones; TESTS=tests/store for some of them
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" --ignore=tests/clis $(TESTS)

test-clis: venv $(CLIS_STAMP)  ## real Claude Code, Gemini CLI, Codex, MCP Inspector (1 GB from npm)
	IPCBUS_REQUIRE_CLIS=1 $(BIN)/python -m pytest -q $(or $(TESTS),tests/clis)

# What comes from npm goes into the virtual environment, where nobody takes it for ours.
NPM_INSTALL = mkdir -p $(@D) && cp $< $(@D)/package.json && npm install \
  --prefix $(@D) --no-package-lock --no-audit --no-fund --loglevel=error \
  --fetch-retries=3 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000

# Only a model for tests: without it they skip, but fail in CI.
$(AIMOCK_STAMP): tests/doors/apis/package.json | $(STAMP)
	@{ $(NPM_INSTALL); } && touch $@ || \
	  echo "npm did not install aimock: tests that need it will skip" >&2

$(CLIS_STAMP): tests/clis/package.json | $(STAMP)
	$(NPM_INSTALL)
	@touch $@

check: lint types test  ## what must pass before a change is handed in

soak: venv  ## HOURS=1 of traffic over a bridge with kills; then the long tests (TESTS=...)
	$(if $(TESTS),,$(BIN)/python -m tests.soak --hours $(HOURS))
	$(BIN)/python -m pytest -q -m slow --timeout 3600 $(TESTS)

sim: venv  ## SEEDS=1000 random histories of whole clusters, with a clock that is not real
	$(BIN)/python -m tests.sim --seeds $(SEEDS)
	$(BIN)/python -m tests.sim --planted --seeds 100

chaos: venv  ## break real processes for MINUTES=10; KILLS=1000 for the kill record
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(KILLS),--kills $(KILLS))

fuzz: $(FUZZ_STAMP)  ## whatever bytes to every parser for MINUTES=10
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

# There is no atheris for every machine: without it inputs are made by chance alone.
$(FUZZ_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --only-binary atheris -e '.[fuzz]' && touch $@ || \
	  echo "no atheris for this machine: bytes are chosen by chance alone" >&2

mutants: venv  ## break the code of the core line by line: do tests notice? SAMPLE=30 of each file
	$(BIN)/python -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE))

proof: $(FUZZ_STAMP)  ## all that proves the promises, in less than two hours; STEPS="sim chaos"
	$(BIN)/python -m tests.proof $(STEPS)

bench: venv  ## measure throughput and latency on this machine
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.bridge
	$(BIN)/python -m benchmarks.hooks
	$(BIN)/python -m benchmarks.tokens
	$(BIN)/python -m benchmarks.old_clients

bench-peers: $(BENCH_STAMP)  ## the same work through other brokers that are installed
	$(BIN)/python -m benchmarks.peers

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@

demo: venv  ## two networks and a bridge, all of them killed: what was proved
	$(BIN)/python -m ipcbus.doors.demo

wheel: venv  ## build the wheel, install it alone, and talk through it
	.ci/wheel $(BIN)/python

clean:  ## remove all that was made here, the environment too
	rm -rf $(VENV) .fuzz .proof dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
