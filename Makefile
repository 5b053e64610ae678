# Everything that a person types here. `make` alone shows what there is.
SHELL := /bin/sh
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; name another with `make PYTHON=…`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)

.PHONY: help
help: ## Show this help
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name words; do printf '  %-6s  %s\n' "$$name" "$$words"; done

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "syncer needs Python 3.11 or newer (with venv); none was found. Install it, or: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "· making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# The program with exactly the pinned, hashed versions of what it needs.
$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	@echo "· installing what the program needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.tools: tests/requirements.txt $(VENV)/.runtime
	@echo "· installing what tests and checks need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement tests/requirements.txt
	@touch $@

.PHONY: demo
demo: $(VENV)/.runtime ## Set everything up, then watch a night's export being synced against the sandbox
	@$(BIN)/python -m syncer.sandbox.demo

THOROUGH := syncer/ledger/*,syncer/execute/*,syncer/lifecycle/*
.PHONY: test
test: $(VENV)/.tools ## Set everything up, then run all tests
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not benchmark" --ignore tests/sim --cov --cov-report=term $(ARGS)
# What sends, records and decides is tried more thoroughly; pyproject.toml has the bound for all the rest.
	@test -n "$(ARGS)" || $(BIN)/python -m coverage report --include='$(THOROUGH)' --fail-under=99
	@$(BIN)/python -m pytest -n 2 --dist worksteal tests/sim # apart: tracing every line of the schedules would take too long

.PHONY: lint
lint: $(VENV)/.tools ## Look for faults of style and structure
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.tools ## Check the types
	@$(BIN)/mypy

.PHONY: check
check: lint types test ## All that CI does

.PHONY: sim
N ?= 2000
sim: $(VENV)/.tools ## Simulate N schedules of faults and deaths on a virtual clock (make sim N=50000)
	@SYNCER_SIM_SCHEDULES=$(N) $(BIN)/python -m pytest -n 2 -o faulthandler_timeout=0 tests/sim/test_simulation.py $(ARGS)

# What others do with the same file is measured beside the program, from an environment that nothing else uses.
PEERS := build/peers
$(PEERS)/.installed: tests/benchmarks/requirements.txt | $(BIN)/python
	@echo "· installing what is measured beside the program"
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement tests/benchmarks/requirements.txt
	@touch $@

.PHONY: bench
ROWS ?= 1000000
RUNS ?= 3
bench: $(VENV)/.tools $(PEERS)/.installed ## Measure speed, size and rates (make bench ROWS=10000000 RUNS=3)
	@$(BIN)/python tests/benchmarks/speed.py --rows $(ROWS) --runs $(RUNS) --peers $(CURDIR)/$(PEERS)/bin/python
	@$(BIN)/python -m pytest -m benchmark -s -q $(ARGS) tests/benchmarks

# Tools that look at the dependencies from outside have dependencies of their own: they get an environment of their own.
$(VENV)/.audit: tools/requirements.txt | $(BIN)/python
	@echo "· installing the tools that look at dependencies"
	@$(BIN)/python -m venv $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement tools/requirements.txt
	@touch $@

.PHONY: audit
audit: $(VENV)/.audit ## Ask the advisory database about every dependency (needs the network; what it cannot look up fails too)
	@$(VENV)/tools/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		--requirement requirements.txt --requirement tests/requirements.txt

SBOM := dist/sbom.cdx.json
.PHONY: sbom
sbom: $(VENV)/.audit ## Write the bill of materials of the program's dependencies (CycloneDX) to dist/
	@mkdir -p dist
	@PYTHONWARNINGS=ignore $(VENV)/tools/bin/cyclonedx-py requirements --output-reproducible --spec-version 1.6 --output-format JSON \
		--pyproject pyproject.toml --mc-type application --output-file $(SBOM) requirements.txt
	@listed=$$(grep -c '"purl": "pkg:' $(SBOM)); pinned=$$(grep -c '^[a-z].*==' requirements.txt); \
		test "$$listed" -eq "$$pinned" || { echo "$(SBOM) lists $$listed of $$pinned requirements" >&2; exit 1; }; \
		echo "$(SBOM): $$listed components"

.PHONY: lock
lock: $(BIN)/python ## Pin every dependency anew, with hashes
# boto3, which the tests use, is not ready for python-dateutil 4; the program does not mind.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@printf 'hatchling\npython-dateutil<3\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --upgrade pyproject.toml - --output-file requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --upgrade --constraint requirements.txt tests/requirements.in --output-file tests/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --upgrade tools/requirements.in --output-file tools/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --upgrade --constraint requirements.txt tests/benchmarks/requirements.in \
		--output-file tests/benchmarks/requirements.txt

.PHONY: clean
clean: ## Remove everything that was made here
	@rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
