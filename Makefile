# Everything a clone needs. `make` alone explains itself.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Any Python from 3.11 on: make PYTHON=python3.12 setup
PYTHON ?= python3
BIN := .venv/bin
COMPILED := PYTHONPATH=$(CURDIR)/build/compiled/site
SETUP := .venv/.set-up
# One environment per generation of the SageMaker SDK: they have the same name.
PINS := src/sagebrush/substrate/compute/environments/specs/clients
SDK_V2 := build/clients/v2/.set-up
SDK_V3 := build/clients/v3/.set-up
CLIENTS := $(SDK_V2) $(SDK_V3)

.PHONY: help
help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(SETUP) ## Make .venv with the platform and everything to work on it
	@echo "Ready: $(BIN)/sagebrush --help"

.PHONY: demo
demo: $(SETUP) $(SDK_V2) ## Set up, start the platform, train a model on real data with the SageMaker SDK
	@$(BIN)/sagebrush demo
	@echo "The platform goes on running: $(BIN)/sagebrush status. Stop it: $(BIN)/sagebrush down"

.PHONY: check
check: $(SETUP) ## The fast gate: lint, format, types, import arrows, models, the wire (under two minutes)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -m "not journey and not fault and not postgresql" -n 2 tests/architecture tests/training/model \
		tests/training/engine tests/inference/model tests/inference/engine tests/substrate/wire tests/substrate/identity tests/substrate/resources

# What stands on a store is tested on SQLite and then on PostgreSQL (tests/databases.py); the rooms of substrate/ that
# are not here take both databases in their own fixtures.
ON_EITHER_STORE := tests/aws tests/training tests/inference tests/planes/control tests/planes/objects \
	tests/substrate/identity tests/substrate/telemetry tests/substrate/objects/test_listing.py

# Fault points that killed a process in this run: tests.faults.ledger fails when one was never tried.
test: export SAGEBRUSH_FAULT_LEDGER := $(CURDIR)/build/fault-points

.PHONY: test
test: $(SETUP) $(CLIENTS) debian ## Everything: real clients, real servers, PostgreSQL, kills; what CI runs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@mkdir -p build && rm -f build/fault-points
	$(BIN)/pytest -m "not journey and not fault" -n 2
	$(BIN)/pytest -m "not journey and not fault and not postgresql" --store postgresql -n 2 $(ON_EITHER_STORE)
	$(BIN)/pytest -m "journey or fault" -n 2
	$(BIN)/python -m tests.faults.ledger build/fault-points
	$(MAKE) --silent compiled
	$(COMPILED) $(BIN)/pytest -n 2 tests/planes/front

.PHONY: chaos
chaos: $(SETUP) ## 200 random kills of a platform at work; an oracle looks for anything lost, torn or done twice (15 minutes)
	$(BIN)/python -m tests.faults.chaos --kills 200

# How long each target is fuzzed.
SECONDS_EACH ?= 60
.PHONY: fuzz
fuzz: $(SETUP) ## Fuzz every parser, guided by coverage, a minute each (make SECONDS_EACH=600 fuzz)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS_EACH)

.PHONY: clients
clients: $(CLIENTS) ## Install the SageMaker SDKs (v2 with the AWS CLI, v3) in environments of their own (build/clients)

.PHONY: coverage
coverage: $(SETUP) ## Write docs/coverage.md: which operations are served, and how far
	$(BIN)/python -m sagebrush.server.coverage

.PHONY: bench
bench: $(SETUP) $(SDK_V2) compiled ## Run the benchmarks, one after another; best on a quiet machine
	@missed=""; for module in $$(cd benchmarks && ls *.py | grep -v '^_\|^serving_peers' | sed 's/\.py$$//'); do \
		echo "== $$module"; $(COMPILED) $(BIN)/python -m benchmarks.$$module || missed="$$missed $$module"; \
	done; test -z "$$missed" || { echo "Claims that did not hold:$$missed" >&2; exit 1; }

.PHONY: bench-peers
bench-peers: $(SETUP) $(SDK_V2) compiled ## Compare serving with six other servers (as root; installs them, 2.6 GB, in build/)
	$(COMPILED) $(BIN)/python -m benchmarks.serving_peers

# In a copy: what is compiled beside its source would hide later changes of it.
.PHONY: compiled
compiled: $(SETUP) ## Compile the front door (a minute, with gcc) into build/compiled, to test and measure it
	rm -rf build/compiled && mkdir -p build/compiled/source
	tar c pyproject.toml README.md src | tar x -C build/compiled/source
	HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(BIN)/pip install --quiet --no-deps --target build/compiled/site build/compiled/source
	rm -rf build/compiled/source

.PHONY: clean
clean: ## Remove what was built here; never data directories
	rm -rf .venv build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the tests take from Debian: a real PostgreSQL server, and version 2 of the AWS CLI (PyPI has only version 1).
.PHONY: debian
debian:
	@missing=""; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	test -x /usr/bin/aws || missing="$$missing awscli"; \
	test -n "$$missing" || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing for the tests:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "The tests need these Debian packages:$$missing. Install them: apt install$$missing" >&2; exit 1; \
	fi

# Stamps: a second `make` of anything looks at two files and goes on.
$(SETUP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Say which Python (3.11 or newer): make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sagebrush needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Say which one: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@echo "Setting up .venv (the first time takes a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

define install_client
	@echo "Installing the SageMaker SDK in $(@D) (the first time takes a minute or two)"
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(@D)/bin/python -m pip install --quiet --constraint $(word 2,$^) --requirement $<
	@touch $@
endef

$(SDK_V2): examples/quickstart/requirements.txt $(PINS)/sagemaker-2.257.7.txt | $(SETUP)
	$(install_client)

$(SDK_V3): examples/quickstart_v3/requirements.txt $(PINS)/sagemaker-3.27.0.txt | $(SETUP)
	$(install_client)
