# `make help` lists what there is. Nothing but a Python from 3.11 to 3.13 and make is needed.
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Asked to run, because a version manager's stand-in may be on the path and refuse.
SUITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)

# What is imported is compiled once, and kept: without that, importing is a third of the time of the tests.
unexport PYTHONDONTWRITEBYTECODE

# A stamp per set of extras: made anew when pyproject.toml changes, else nothing is installed again.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

# mosaicml-streaming's pins are at odds with those of the other packages.
MDS_VENV := $(VENV)-mds
MDS_STAMP := $(MDS_VENV)/.installed

.PHONY: help setup demo test check fast lint types layers mds-test conformance bench gpu-test gpu-bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(DEV_STAMP) ## make .venv with everything that development needs

demo: $(RUN_STAMP) ## raw flights data to a published dataset, in ./published
	$(BIN)/headrace run flights

test: $(DEV_STAMP) ## every test that needs no GPU
	$(BIN)/python -m pytest -m "not gpu" -n 2 --dist loadfile

check: $(DEV_STAMP) ## lint, types, layers and the fast tests, beside each other; about a minute on two cores
	@$(MAKE) --no-print-directory -j 4 lint layers types fast

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

types: $(DEV_STAMP)
	$(BIN)/mypy

layers: $(DEV_STAMP)
	$(BIN)/lint-imports --no-logo

# For `make test`: whole commands, servers and stores, other libraries that read our files, the laws of all operators, and
# what is about a device: each takes seconds, or longer to import than to run.
LATER := $(addprefix tests/,gpu engines/gpu imitation benchmarks commands consumers examples flows stores \
	catalog/export catalog/loader/test_huggingface.py catalog/loader/test_lightning.py catalog/loader/test_tensors.py \
	catalog/test_append.py catalog/test_history.py pipelines/gallery pipelines/test_continuing.py \
	transforms/test_conformance.py transforms/test_target_partitions.py)

fast: $(DEV_STAMP)
	$(BIN)/python -m pytest -q -m "not slow and not gpu" -n 2 --dist loadfile --hypothesis-profile check $(LATER:%=--ignore=%)

mds-test: $(MDS_STAMP) ## read MDS exports with mosaicml-streaming, in an environment of its own
	$(MDS_VENV)/bin/python -m pytest -q tests/catalog/export/test_mds.py

conformance: $(DEV_STAMP) ## try every law on every operator, print the table, write docs/operators.md and its pages
	$(BIN)/python -m tests.conformance --write docs

bench: $(DEV_STAMP) ## headrace against a hand-written script, pandas and scikit-learn
	$(BIN)/python -m benchmarks.ctr_compare

gpu-test: $(DEV_STAMP) ## the tests that need a GPU; an error where there is none
	@$(BIN)/python -c "from headrace.engines.detect import choose; c = choose('auto'); raise SystemExit(None if c.engine == 'gpu' else 'error: no GPU engine here: ' + c.reason)"
	$(BIN)/python -m pytest -m gpu tests/gpu

gpu-bench: $(DEV_STAMP) ## ctr on the GPU: headrace, plain cuDF, plain dask-cudf, the floor
	$(BIN)/python -m benchmarks.gpu_compare

clean: ## remove .venv, caches and build output; published datasets stay
	rm -rf $(VENV) $(MDS_VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp of its own: a venv that was interrupted half-way has a bin/python already.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "error: no Python from 3.11 to 3.13 with venv found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUN_STAMP): pyproject.toml $(VENV)/.made
	@echo "installing headrace with its extras build and demo into $(VENV): about 100 packages, some minutes the first time"
	@$(PIP) install --quiet --no-compile --editable '.[build,demo]'
	@touch $@

$(DEV_STAMP): pyproject.toml $(VENV)/.made
	@echo "installing headrace with its extra dev into $(VENV): RAPIDS is large (4 GB), so this takes minutes the first time"
	@$(PIP) install --quiet --no-compile --editable '.[dev]'
	@touch $@ $(RUN_STAMP)

$(MDS_STAMP): pyproject.toml $(VENV)/.made
	@echo "installing headrace with its extra mds into $(MDS_VENV)"
	@$(BIN)/python -m venv --clear $(MDS_VENV)
	@$(MDS_VENV)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --no-compile --editable '.[mds]'
	@touch $@
