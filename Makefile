# Every target works on a fresh clone: each begins with `setup`, which costs nothing once it is done.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.setup-done
PYTEST := $(BIN)/python -m pytest
# Two at once, each with servers of its own: the long tests wait more than they compute. A file's tests stay together.
BY_TWO := -n 2 --dist loadfile --no-loadscope-reorder
# What each pytest process of `make test` saw; docs/coverage.md is vouched for by them.
RESULTS := .pytest_cache/results

# Some images forbid Python to keep bytecode: then each process that a test starts compiles for a second.
unexport PYTHONDONTWRITEBYTECODE

help: ## This list (the first target, so plain `make` prints it)
	@awk 'BEGIN {FS = ":.*## "} /^[a-z\/-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- use

setup: $(STAMP) ## Make .venv with everything, as requirements.lock has it; on root's Debian a browser too

demo: $(STAMP) ## Real Kafka, real PostgreSQL, orders in, stock and alert events out
	@$(BIN)/stock-worker demo

# ---------------------------------------------------------------- tests

test: $(STAMP) ## Every test, on a real Kafka and a real PostgreSQL
	@rm -rf $(RESULTS)
	@$(PYTEST) -q $(BY_TWO) --durations=15 --junitxml=$(RESULTS)/all.xml tests
	@$(BIN)/python -m tests.laws.coverage $(RESULTS)/*.xml

test/core: $(STAMP) ## The rules, in memory
	@$(PYTEST) -q tests/core

test/wire: $(STAMP) ## Bytes to commands and back
	@$(PYTEST) -q tests/wire

test/store: $(STAMP) ## Statements, CHECKs, roles, migrations
	@$(PYTEST) -q tests/store

test/projection: $(STAMP) ## What is held of a site, against the rules and against a load
	@$(PYTEST) -q tests/projection

test/flow: $(STAMP) ## Kafka to PostgreSQL to Kafka
	@$(PYTEST) -q tests/flow

test/http: $(STAMP) ## The API, over a real PostgreSQL
	@$(PYTEST) -q tests/http

test/admin: $(STAMP) ## The inventory page
	@$(PYTEST) -q tests/admin

test/chaos: $(STAMP) ## Kill points, duplicates, reordering
	@$(PYTEST) -q tests/chaos

test/devstack: $(STAMP) ## That the stack starts, stops and leaves nothing
	@$(PYTEST) -q tests/devstack

test/browser: $(STAMP) ## Pages in a real browser, where one is found
	@$(PYTEST) -q tests/browser

test/laws: $(STAMP) ## Layers, contract, docs and metrics against the code
	@$(PYTEST) -q tests/laws

proof: $(STAMP) ## The proof, part by part, and docs/reliability.md; one part: make proof PART=kills
	@$(BIN)/python -m tests.proof $(PART)

bench: $(STAMP) ## Throughput and latency beside two peers; writes CSV
	@$(BIN)/python -m benchmarks

bench/reads: $(STAMP) ## What the API's readers wait, on a million items; writes CSV
	@$(BIN)/python -m benchmarks --part reads

bench/page: $(STAMP) ## What people wait for at the inventory page, in a browser; writes CSV
	@$(BIN)/python -m benchmarks --part page

# ---------------------------------------------------------------- checks

check: format lint types layers $(if $(TESTED),,check/tests) ## Everything that must hold before a commit

# migrations, contracts and docs in one run. With TESTED=yes they are left out: `make test` has just run them.
check/tests: $(STAMP)
	@$(PYTEST) -q tests/laws tests/store/test_migration.py

format: $(STAMP) ## Is the code formatted? (`make fmt` does it)
	@$(BIN)/ruff format --check .

lint: $(STAMP) ## ruff, everything on
	@$(BIN)/ruff check .

types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

layers: $(STAMP) ## Imports go one way
	@$(BIN)/lint-imports

migrations: $(STAMP) ## Migrated catalogs against the tables in code
	@$(PYTEST) -q tests/store/test_migration.py

contracts: $(STAMP) ## contracts/ against the code, both ways
	@$(PYTEST) -q tests/laws -k "not docs"

docs: $(STAMP) ## Settings, metrics, refusals and commands against docs/ and README
	@$(PYTEST) -q tests/laws -k docs

# ---------------------------------------------------------------- upkeep

coverage: $(STAMP) ## docs/coverage.md from its table, before a run vouches for it
	@$(BIN)/python -m tests.laws.coverage

screenshots: $(STAMP) ## docs/screenshots, off the running program; one page: make screenshots PAGE=swagger
	@$(BIN)/python -m tests.browser.screenshots $(PAGE)

fmt: $(STAMP) ## Format, and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(STAMP) ## Resolve requirements.lock again
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --all-extras \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean: ## Remove .venv and what the tools remember
	@rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv comes out of the lock too: pip checks its one entry by hash, then uv installs the rest by hash.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "setup: Python 3.11 or later is needed; name it: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "setup: this Python has no ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m tests.browser.finding
	@touch $@

.PHONY: help setup demo test test/core test/wire test/store test/projection test/flow test/http test/admin test/chaos test/devstack test/browser test/laws proof bench bench/reads bench/page \
	check check/tests format lint types layers migrations contracts docs coverage screenshots fmt lock clean
