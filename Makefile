# Verbs of the project; `make help` lists them. Only Python (>= 3.11) with venv and pip is needed.
PYTHON ?= python3
VENV   ?= .venv
CXX    ?= c++
PYTEST_ARGS ?=
GPU_PYTHON ?= 3.12
GPU_COMPLETE ?=

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := $(VENV)/bin
STAMP   := $(VENV)/.gssl-environment
TORCH   := torch==2.13.0
SCATTER := torch_scatter==2.1.2
BUILT   := build/scatter/.built
SITE    := build/docs/.installed
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
LINKS   := samplers models datasets benchmarks

.PHONY: help env links demo test lint docs docs-check docs-site notebooks scatter-build scatter gpu-pack clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP)  ## create the environment with the tested versions (PYTHON=..., VENV=...)

links:
	@for name in $(LINKS); do \
	  if [ ! -d "gssl/$$name/" ]; then \
	    echo "gssl/$$name is not a link to ../$$name: the clone lost its symbolic links." >&2; \
	    echo "Repair: git config core.symlinks true && git checkout -- gssl/ (not possible in a downloaded zip: clone instead)" >&2; \
	    exit 2; \
	  fi; \
	done

$(STAMP): pyproject.toml constraints.txt | links
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gssl needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + "; say make PYTHON=/path/to/python3.11")'
	@echo "creating $(VENV) with the versions of constraints.txt (a few minutes)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH) setuptools
	$(PIP) --editable ".[dev]"
	@touch $@

demo: $(STAMP)  ## a small real leaderboard, node and graph level, without any download
	GSSL_RUNS=build/demo $(BIN)/gssl bench demo
	GSSL_RUNS=build/demo $(BIN)/gssl report --out build/demo/site

test: $(STAMP)  ## every test and docstring example, on all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -q --durations=30 --durations-min=4 $(PYTEST_ARGS)

lint: $(STAMP)  ## ruff and mypy, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)  ## write the generated parts of the documents
	$(BIN)/python -m gssl.benchmarks.card_index
	$(BIN)/python -m gssl.benchmarks.readme

docs-check: $(STAMP)  ## generated parts are fresh, examples in the documents run
	$(BIN)/python -m gssl.benchmarks.card_index --check
	$(BIN)/python -m gssl.benchmarks.readme --check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/test_documents.py

# What builds the site stays out of the environment, too, which it would slow.
$(SITE): pyproject.toml constraints.txt | $(STAMP)
	rm -rf build/docs && mkdir -p build/docs
	$(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(*extras["docs"], sep="\n")' > build/docs/requirements.txt
	$(PIP) --target build/docs/packages --requirement build/docs/requirements.txt
	@touch $@

docs-site: $(SITE)  ## the documents with an API reference as a site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=build/docs/packages $(BIN)/python -m mkdocs build --strict --quiet

notebooks: $(SITE)  ## run the notebooks in docs/notebooks and keep their output in them
	PYTHONPATH=$(CURDIR)/build/docs/packages $(BIN)/python docs/execute.py

# The accelerator stays out of the environment, so that every other target keeps testing without it.
$(BUILT): | $(STAMP)
	@command -v $(CXX) >/dev/null || { echo "there is no C++ compiler ($(CXX)), which torch_scatter needs: install one or set CXX" >&2; exit 1; }
	@echo "building $(SCATTER) from source (several minutes)"
	rm -rf build/scatter && mkdir -p build/scatter
	printf '[build_ext]\nparallel = 4\n' > build/scatter/build.cfg
	FORCE_ONLY_CPU=1 DIST_EXTRA_CONFIG=$(CURDIR)/build/scatter/build.cfg \
	  $(PIP) --no-deps --no-build-isolation --no-binary torch_scatter --target build/scatter $(SCATTER)
	@touch $@

scatter-build: $(BUILT)  ## build torch_scatter from source, outside the environment

scatter: $(BUILT)  ## run the tests of readouts and encoders with torch_scatter
	OMP_NUM_THREADS=1 GSSL_EXPECT_SCATTER=1 PYTHONPATH=build/scatter \
	  $(BIN)/python -m pytest -q tests/models tests/contracts/test_contracts_encoders.py

gpu-pack: $(STAMP)  ## what the check of a GPU needs on a machine without network: build/gpu-pack (GPU_COMPLETE=1: all wheels)
	$(BIN)/python gpu/pack.py build/gpu-pack --python-version $(GPU_PYTHON) $(if $(GPU_COMPLETE),--complete)

clean:  ## remove what make built, except the environment
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
