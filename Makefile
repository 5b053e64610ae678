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
	@$(or $(PYTHON),false) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "syncer needs Python 3.11 or newer, with venv; $(if $(PYTHON),$(PYTHON) is none,none was found). Install it, or: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "· making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

PIP := -m pip --disable-pip-version-check
# A lock is installed as it stands, $(call install,ENVIRONMENT,LOCK): with no resolver, a newer release changes nothing.
install = @$(1)/bin/python $(PIP) install --quiet --require-hashes --no-deps --requirement $(2)
# Then it is asked whether anything is missing, $(call whole,ENVIRONMENT,LOCK,WHAT ASKED FOR IT): pip knows no extras.
define whole
	@said=$$($(1)/bin/python $(PIP) check) || { echo "$$said" >&2; echo "  next: make clean, and again" >&2; exit 1; }
	@$(1)/bin/python tools/locks.py $(2) --asked $(3)
	@touch $@
endef

# The program with exactly the pinned, hashed versions of what it needs, and with the extras that cost little.
LIGHT := excel,zst
$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	@echo "· installing what the program needs"
	$(call install,$(VENV),requirements.txt)
# Locks agree with each other alone: where the tools are installed, theirs come along before anybody asks whether all fits.
	$(if $(wildcard $(VENV)/.tools),$(call install,$(VENV),tests/requirements.txt))
	@$(BIN)/python $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(call whole,$(VENV),requirements.txt,'pyproject.toml[$(LIGHT)]')

# What every extra needs beside it, for whoever uses one: databases, remote files, alarms.
$(VENV)/.extras: tools/extras.txt $(VENV)/.runtime
	@echo "· installing what the extras need"
	$(call install,$(VENV),tools/extras.txt)
	$(call whole,$(VENV),tools/extras.txt,pyproject.toml)

$(VENV)/.tools: tests/requirements.txt $(VENV)/.extras
	@echo "· installing what tests and checks need"
	$(call install,$(VENV),tests/requirements.txt)
	$(call whole,$(VENV),tests/requirements.txt,tests/requirements.in)

.PHONY: demo
demo: $(VENV)/.runtime ## Set everything up, then watch a night's export being synced against the sandbox
	@$(BIN)/python -m syncer.sandbox.demo

# Tests run in one process more than there are processors (tests/conftest.py): some of them always wait.
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --dist worksteal

.PHONY: quick
quick: lint types ## While you write: lint, types, unit and property tests with few examples, in under 90 s
	@TESTS_SCARCE=1 $(PYTEST) $(PARALLEL) tests/unit tests/property

.PHONY: one
one: $(VENV)/.tools ## While you write one thing: its tests, again after every change (make one T=tests/unit/test_lifecycle.py)
	@test -n "$(T)" || { echo "which test? make one T=tests/unit/test_lifecycle.py" >&2; exit 2; }
	@$(BIN)/watchfiles --filter python --verbosity warning --target-type command '$(PYTEST) $(T)' syncer migrations tests

# Tracing doubles what a test costs, and what these meet the others have met already. The longest begin first.
UNTRACED := $(addprefix tests/,sim mutants faults browser \
	cli/test_guards.py cli/test_output.py cli/test_refused_rows.py cli/test_told_by_the_next.py \
	integration/test_case_taken_away.py integration/test_fields_taken.py integration/test_scans_pull.py \
	property/test_guards.py property/test_products_pull.py property/test_rates.py property/test_source_damage.py \
	property/test_source_flips.py property/test_source_roundtrip.py property/test_source_tables.py \
	security/test_canary.py security/test_formulas.py security/test_inert.py security/test_locks.py \
	security/test_masking.py unit/test_house.py)
THOROUGH := syncer/ledger/*,syncer/execute/*,syncer/lifecycle/*,syncer/mirror/*,syncer/plan/*
.PHONY: test
ifdef ARGS
test: $(VENV)/.tools
	@$(PYTEST) $(ARGS)
else
test: $(VENV)/.tools ## Before you commit: all tests, a sample of what is exhaustive (make test ARGS=…: only these, as pytest takes them)
	@rm -f .coverage .coverage.*
	@$(PYTEST) $(PARALLEL) -m "not benchmark" $(addprefix --ignore ,$(UNTRACED)) --cov --cov-report=term
# What sends, records and decides is tried whole; pyproject.toml has the bound for all the rest.
	@$(BIN)/python -m coverage report --include='$(THOROUGH)' --fail-under=100
	@$(PYTEST) $(PARALLEL) -m "not benchmark" $(UNTRACED)
endif

WHOLE := TESTS_WHOLE=1 $(PYTEST) $(PARALLEL) -m "not benchmark" -o faulthandler_timeout=0
BLOCK := 2500
BLOCKS := $(shell seq 0 $(BLOCK) 49999)
# What passed on these very files is not tried again: a proof takes hours, may be stopped, and goes on from there.
ifneq ($(filter prove,$(MAKECMDGOALS)),)
proof_of = build/proved/$(shell git ls-files -co --exclude-standard $(1) '*.txt' | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-12)
PROVED := $(call proof_of,syncer migrations tests tools Makefile '*.toml')
# Schedules rest on the program and the simulator, and not on other tests.
PLAYED := $(call proof_of,syncer migrations tests/sim tests/plans.py tests/sampling.py)
endif
.PHONY: prove
# What finds most in the least time comes first; a failure ends it.
prove: $(PROVED)/examples $(PROVED)/places $(PROVED)/bugs $(BLOCKS:%=$(PLAYED)/schedules-%) ## Before a release: all tests, with all that is exhaustive, and 50,000 schedules; takes hours, and goes on where it was stopped
	@echo "proved: all parts have passed on these files"
proved = @mkdir -p $(@D); touch $@

$(PROVED)/examples: | $(VENV)/.tools
	@echo "· unit and property tests, with ten times the examples"
	@$(WHOLE) tests/unit tests/property
	$(proved)

$(PROVED)/places: | $(VENV)/.tools
	@echo "· every crash point, every disk operation, every altered answer, and all other tests"
	@$(WHOLE) $(addprefix --ignore tests/,unit property mutants sim benchmarks) tests
	$(proved)

$(PROVED)/bugs: | $(VENV)/.tools
	@echo "· bugs put in on purpose, by hand and by operators: each must be found"
	@$(WHOLE) --ignore tests/sim/test_simulation.py tests/mutants tests/sim
	$(proved)

$(PLAYED)/schedules-%: | $(VENV)/.tools
	@echo "· the simulator, from schedule $* on"
	@TESTS_SCHEDULES=$(BLOCK) TESTS_FIRST=$* $(WHOLE) tests/sim/test_simulation.py
	$(proved)

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
FROM ?= 0
sim: $(VENV)/.tools ## Simulate N schedules of faults and deaths on a virtual clock (make sim N=50000, or parts: make sim N=5000 FROM=10000)
	@TESTS_SCHEDULES=$(N) TESTS_FIRST=$(FROM) $(BIN)/python -m pytest -n 2 -o faulthandler_timeout=0 tests/sim/test_simulation.py $(ARGS)

.PHONY: mutate
mutate: $(VENV)/.tools ## Judge every mutant of the pure modules by their tests (make mutate F=syncer/execute/blame.py)
	@PYTHONPATH=tests $(BIN)/python -m mutants $(F)

# What others do with the same file is measured beside the program, from an environment that nothing else uses.
PEERS := build/peers
$(PEERS)/.installed: tests/benchmarks/requirements.txt | $(BIN)/python
	@echo "· installing what is measured beside the program"
	@$(BIN)/python -m venv $(PEERS)
	$(call install,$(PEERS),tests/benchmarks/requirements.txt)
	$(call whole,$(PEERS),tests/benchmarks/requirements.txt,tests/benchmarks/requirements.in)

.PHONY: bench
ROWS ?= 1000000
RUNS ?= 3
bench: $(VENV)/.tools $(PEERS)/.installed ## Measure speed, size and rates (make bench ROWS=10000000 RUNS=3)
	@$(BIN)/python tests/benchmarks/speed.py --rows $(ROWS) --runs $(RUNS) --peers $(CURDIR)/$(PEERS)/bin/python
	@$(BIN)/python -m pytest -m benchmark -s -q $(ARGS) tests/benchmarks

# Tools that pin the dependencies and look at them from outside have dependencies of their own: they get an environment
# of their own. `make lock` does without the second step: what it asks is what `make lock` mends.
TOOLS := $(VENV)/tools
$(VENV)/.pinning: tools/requirements.txt | $(BIN)/python
	@echo "· installing the tools that look at dependencies"
	@$(BIN)/python -m venv $(TOOLS)
	$(call install,$(TOOLS),tools/requirements.txt)
	@touch $@

$(VENV)/.audit: $(VENV)/.pinning
	$(call whole,$(TOOLS),tools/requirements.txt,tools/requirements.in)

.PHONY: audit
audit: $(VENV)/.audit ## Ask the advisory database about every dependency (needs the network; what it cannot look up fails too)
	@$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		--requirement tools/extras.txt --requirement tests/requirements.txt

SBOM := dist/sbom.cdx.json
.PHONY: sbom
sbom: $(VENV)/.audit ## Write the bill of materials of the program's dependencies (CycloneDX) to dist/
	@mkdir -p dist
	@PYTHONWARNINGS=ignore $(TOOLS)/bin/cyclonedx-py requirements --output-reproducible --spec-version 1.6 --output-format JSON \
		--pyproject pyproject.toml --mc-type application --output-file $(SBOM) tools/extras.txt
	@listed=$$(grep -c '"purl": "pkg:' $(SBOM)); pinned=$$(grep -c '^[a-z].*==' tools/extras.txt); \
		test "$$listed" -eq "$$pinned" || { echo "$(SBOM) lists $$listed of $$pinned requirements" >&2; exit 1; }; \
		echo "$(SBOM): $$listed components"

.PHONY: docs
docs: $(VENV)/.tools ## Write the pages and the example configuration that are made from the program: commands, settings, JSON, picture
	@$(BIN)/python tools/cli_reference.py
	@$(BIN)/python tools/settings_reference.py
	@$(BIN)/python tools/json_reference.py
	@$(BIN)/python tools/picture.py

.PHONY: figures
figures: $(BIN)/python ## Count modules, circles, names, long functions and sentences (make figures OF="../before .")
	@$(BIN)/python tools/figures.py $(OF)

.PHONY: lock
comma := ,
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate $(if $(UPGRADE),--upgrade)
lock: $(VENV)/.pinning ## Pin what is asked for and not yet pinned; what holds stays (make lock UPGRADE=1: pin everything anew)
# boto3, which the tests use, is not ready for python-dateutil 4; the program does not mind.
	@printf 'hatchling\npython-dateutil<3\n' | $(COMPILE) $(foreach extra,$(subst $(comma), ,$(LIGHT)),--extra $(extra)) pyproject.toml - --output-file requirements.txt
	@printf 'hatchling\n' | $(COMPILE) --all-extras --constraint requirements.txt pyproject.toml - --output-file tools/extras.txt
	@$(COMPILE) --constraint tools/extras.txt tests/requirements.in --output-file tests/requirements.txt
	@$(COMPILE) tools/requirements.in --output-file tools/requirements.txt
	@$(COMPILE) --constraint requirements.txt tests/benchmarks/requirements.in --output-file tests/benchmarks/requirements.txt

.PHONY: clean
clean: ## Remove everything that was made here
	@rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
