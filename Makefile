# `make demo` and `make test` work on a bare Debian or Ubuntu: they install what is missing, say so, and remember it in .venv.
.DEFAULT_GOAL := help
.PHONY: help demo serve test test-all test-nightly test-oldest check format bench docs clean

BIN := .venv/bin
PYTEST_ARGS ?=
# One process more than cores, since tests wait for browsers, servers and kills; four at most, since each may start its own.
PARALLEL := --numprocesses $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$(( n < 3 ? n + 1 : 4 ))) --dist worksteal
# Containers often set it. Each process of the tests would then compile all files of tests anew.
unexport PYTHONDONTWRITEBYTECODE

help:                                   ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: .venv/ready-demo                  ## a real conversation becomes pages that fade: table and HTML report
	$(BIN)/optical-memory demo

serve: .venv/ready-demo                 ## the proxy in front of any client; its first line is its address
	$(BIN)/optical-memory serve

test: .venv/ready-test                  ## the tests, with a real browser and a real Redis: about 10 minutes on two cores
	@echo 'About 10 minutes on two cores. `make test-all` adds kills, floods, whole examples and evaluations, and takes about 20.'
	$(BIN)/python -m pytest $(PARALLEL) -m 'not endurance and not slow' $(PYTEST_ARGS)

test-all: .venv/ready-test              ## all tests but the variants of a nightly run: about 20 minutes on two cores
	@echo 'About 20 minutes on two cores.'
	$(BIN)/python -m pytest $(PARALLEL) -m 'not nightly' $(PYTEST_ARGS)

test-nightly: .venv/ready-test          ## every variant of every test, four times the examples of property tests, and new ones
	EXAMPLES=$${EXAMPLES:-20} OPTICAL_MEMORY_NEW_EXAMPLES=$${OPTICAL_MEMORY_NEW_EXAMPLES:-1} $(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-oldest: .venv-oldest/ready         ## the tests of the adapters with the oldest supported frameworks
	.venv-oldest/bin/python -m pytest $(PARALLEL) -m 'not endurance and not slow' tests/adapters tests/test_examples.py $(PYTEST_ARGS)

check: .venv/ready-test                 ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready-test                ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready-test                 ## every benchmark, as tables
	$(BIN)/python -m benchmarks

docs: .venv/ready-demo                  ## put the demo's table and picture into the README, and the profiles into docs/readers.md
	$(BIN)/python scripts/update_readme.py
	$(BIN)/python scripts/update_readers.py
	$(BIN)/python scripts/update_inspector.py
	$(BIN)/python scripts/update_remembered.py

clean:                                  ## remove what the targets made
	rm -rf .venv .venv-oldest build dist demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/ready-test: pyproject.toml scripts/setup.sh
	scripts/setup.sh test
	@touch $@ .venv/ready-demo

.venv-oldest/ready: pyproject.toml scripts/setup.sh scripts/oldest.txt
	scripts/setup.sh oldest
	@touch $@

.venv/ready-demo: pyproject.toml scripts/setup.sh
	scripts/setup.sh demo
	@touch $@
