# The commands of the project. Each target does its own set-up, in .venv: nothing is needed but make and python3.
#
#   make serve   serve the example application on http://127.0.0.1:8000
#   make test    run every test under each supported interpreter that this machine has
#   make check   lint, types, layers, the examples in the docs, changelog fragments
#   make bench   time wsgix beside the standard library's wsgiref, and beside other servers (half an hour)
#   make scoreboard   probe every server that can be installed; write docs/scoreboard.md and .html (five minutes)
#   make clean   remove what these commands made

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help serve test check bench scoreboard clean

# Test processes at a time.
JOBS ?= 2

# The interpreters are looked for once, and only by a target that needs one.
VERSIONS = $(eval VERSIONS := $$(shell tools/interpreters))$(VERSIONS)
LOWEST = $(or $(firstword $(VERSIONS)),none)
PYTHON = .venv/$(LOWEST)/bin/python
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

# One environment an interpreter, .venv/VERSION, with wsgix installed editable; a stamp file for each group of
# dependencies installed into it. `pip install --group` came with pip 25.1.
.venv/%/stamp-base: pyproject.toml
	@.venv/$*/bin/python -c '' 2>/dev/null || \
	    { python=$$(tools/interpreters $*) && echo "$$python" && "$$python" -m venv --clear .venv/$*; }
	.venv/$*/bin/python $(PIP_INSTALL) 'pip>=25.1'
	.venv/$*/bin/python $(PIP_INSTALL) --editable .
	@touch $@

.venv/%/stamp-test: .venv/%/stamp-base
	.venv/$*/bin/python $(PIP_INSTALL) --group test
	@touch $@

.venv/%/stamp-check: .venv/%/stamp-test
	.venv/$*/bin/python $(PIP_INSTALL) --group check
	@touch $@

.venv/%/stamp-bench: .venv/%/stamp-base
	.venv/$*/bin/python $(PIP_INSTALL) --group bench
	@touch $@

.PRECIOUS: .venv/%/stamp-base .venv/%/stamp-test .venv/%/stamp-check .venv/%/stamp-bench

# Prerequisites that hold the version are expanded when the target is considered, not when this file is read.
.SECONDEXPANSION:

serve: .venv/$$(LOWEST)/stamp-base
	$(PYTHON) -m wsgix serve examples/plain/app.py --bind 127.0.0.1:8000

# Every run takes place whatever the others found; the coverage gate goes first, so that the last line is pytest's.
test: .venv/$$(LOWEST)/stamp-test $$(patsubst %,.venv/%/stamp-test,$$(VERSIONS))
	@status=0; \
	$(PYTHON) tools/coverage_gate.py || status=1; \
	for version in $(VERSIONS); do \
	    echo; echo "CPython $$version"; \
	    .venv/$$version/bin/python -m pytest -n $(JOBS) --dist loadfile || status=1; \
	done; \
	exit $$status

check: .venv/$$(LOWEST)/stamp-check
	@status=0; \
	run() { echo "$$@"; "$$@" || status=1; }; \
	run $(PYTHON) -m ruff check; \
	run $(PYTHON) -m ruff format --check; \
	run $(PYTHON) -m mypy; \
	run $(PYTHON) -m pytest --quiet tests/test_layers.py; \
	run $(PYTHON) tools/generate_docs.py --check; \
	run $(PYTHON) -m pytest --quiet README.md docs; \
	echo "changelog fragments"; $(PYTHON) -m towncrier build --draft --version next >/dev/null || status=1; \
	exit $$status

bench: .venv/$$(LOWEST)/stamp-bench
	$(PYTHON) bench/library.py
	$(PYTHON) bench/servers.py

scoreboard: .venv/$$(LOWEST)/stamp-base
	$(PYTHON) tools/scoreboard.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
