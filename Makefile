# `make` lists the targets; each one is safe to repeat.  Everything lives in .venv; the package index is pip's own choice.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
TESTS ?= tests
# One more than the two cores that CI has: some tests wait for real processes and brokers.
WORKERS ?= 3

# What starts many processes would otherwise compile the same modules in each of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup demo sim test chaos night lint types arch docs bench format check clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

setup: .venv/.ready-dev ## make .venv with the product and the tools (quick when nothing changed)

demo: .venv/.ready ## run the main job: ferry servers between cells, embedded
	@$(BIN)/cellferry demo

sim: .venv/.ready ## hunt for two minutes, on all cores, for weather that breaks a promise
	@$(BIN)/cellferry sim hunt --for 2m --report build/sim-report

test: setup ## run the tests (finds, starts or installs the services they need)
	@$(BIN)/pytest -n $(WORKERS) $(TESTS)

chaos: setup ## kill every process at every point of every move, then disasters under load; figures go to build
	@$(BIN)/python -m tests.chaos
	@$(BIN)/python -m tests.chaos.stormy

night: setup ## run for hours: every death, 1,000 seeds twice, long hunts; figures go to build/night.json
	@CELLFERRY_PROFILE=night $(BIN)/pytest -n 2 --timeout 0 tests/fuzz tests/properties tests/sagas tests/scenarios/test_races_on_wires.py
	@$(BIN)/python -m tests.seeds.night

lint: setup ## check style, layout and spelling
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell

types: setup ## check types
	@$(BIN)/mypy

arch: setup ## check who may import whom
	@$(BIN)/lint-imports --no-logo

docs: setup ## write the generated pages of docs/reference anew
	@$(BIN)/python -m tests.docs.generate

bench: setup ## measure how fast the simulator is
	@$(BIN)/python benchmarks/simulator.py

format: setup ## mend style and layout
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

check: lint types arch test ## all that CI checks

clean: ## remove .venv, caches and what was built
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stamps, so that the demo need not wait for the tools.
.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cellferry needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments. Install python3-venv (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade 'pip>=25.3'
	@$(PIP) install --constraint constraints.txt --build-constraint constraints.txt --editable .
	@touch $@

.venv/.ready-dev: .venv/.ready
	@$(PIP) install --constraint constraints.txt --group dev
	@touch $@
