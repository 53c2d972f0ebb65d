# Plain pip commands behind short names; README.md shows them too.
#   make demo        compare three hardware profiles on tomorrow's weather (real data)
#   make test        linters, types, import rules, fast tests
#   make coverage    the fast tests again, and which lines none of them runs
#   make test-slow   long trainings, faults, the built wheel, a real browser
#   make test-long   hundreds of fits (do their intervals hold the truth?), kills at every write, compiled names
#   make test-core   rules, tasks, arrays, networks, training on another Python: PYTHON=python3.12 VENV=.venv-3.12
#   make test-cuda   the tests of a GPU, where there is one: a few minutes
#   make docs        the documentation as a site: build/site/index.html
#   make notebooks   execute notebooks/*.py anew, and write them beside these with what they print and draw
#   make lint        only the linters, types and import rules
#   make clean       remove .venv, build outputs and caches; runs/ stays

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
# The versions that this Python's tests passed with; constraints.txt is that of the oldest.
MINOR = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
CONSTRAINTS = $(firstword $(wildcard constraints-$(MINOR).txt) constraints.txt)
CORE := tests/learning tests/tasks tests/substrates tests/network tests/training

# One thread a process: the tests and the demo run one process a core.
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Each worker begins with a half of the files, in order, and takes from the other when it is through: what tests of a
# file share (modules, compiled code, small runs) is then made once, not once a worker. Processes that tests start read
# the bytecode of the first, whatever the shell says. Expanded where it is used, for a tier may have its own WORKERS.
PYTEST = PYTHONDONTWRITEBYTECODE= $(THREADS) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo docs notebooks test coverage test-slow test-long test-core test-cuda lint clean python

help:
	@sed -n '2,13s/^# *//p' Makefile

python:
	@command -v $(PYTHON) >/dev/null 2>&1 \
	  || { echo "neuroanp needs Python 3.11 or newer, and '$(PYTHON)' was not found; try: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "neuroanp needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); try: make PYTHON=python3.12 ..." >&2; exit 2; }

$(BIN)/python: | python
	$(PYTHON) -m venv $(VENV)

# The stamps make a second call quick; a change of what is installed makes them out of date.
$(VENV)/.neuroanp-demo: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/python -m pip install --disable-pip-version-check -c $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.neuroanp-test: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/python -m pip install --disable-pip-version-check -c $(CONSTRAINTS) -e '.[test]'
	@touch $@ $(VENV)/.neuroanp-demo

demo: $(VENV)/.neuroanp-demo
	$(THREADS) $(BIN)/neuroanp demo

docs: $(VENV)/.neuroanp-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo build/site/index.html

lint: $(VENV)/.neuroanp-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads $(WORKERS)
	$(BIN)/lint-imports
	$(BIN)/python tests/lint/arrays.py
	$(BIN)/python tests/lint/circles.py
	$(BIN)/python -m tests.lint.docstrings
	$(BIN)/python tests/lint/deprecated.py
	$(BIN)/python tests/lint/length.py
	$(BIN)/python tests/lint/members.py
	$(BIN)/python tests/lint/outside.py
	$(BIN)/python tests/lint/tolerances.py neuroanp tests benchmarks examples notebooks website

test: lint
	$(PYTEST) -m 'not slow and not long'

coverage: $(VENV)/.neuroanp-test
	$(PYTEST) -m 'not slow and not long' --cov --cov-report=term

# Half of these tests wait for processes that they started: one worker more than cores.
test-slow: WORKERS := $(if $(filter file,$(origin WORKERS)),3,$(WORKERS))
test-slow: $(VENV)/.neuroanp-test
	$(PYTEST) -m 'slow and not long'

test-long: $(VENV)/.neuroanp-test
	$(PYTEST) -m long

test-core: $(VENV)/.neuroanp-test
	$(PYTEST) -m 'not slow and not long' $(CORE)

# Workers share one GPU; those of a group of tests share what they make there.
test-cuda: $(VENV)/.neuroanp-test
	$(THREADS) $(BIN)/python -m pytest -n 8 --dist loadgroup -m cuda tests

notebooks: $(VENV)/.neuroanp-test
	$(THREADS) $(BIN)/python notebooks/execute.py

clean:
	rm -rf $(VENV) dist build .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find neuroanp tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
