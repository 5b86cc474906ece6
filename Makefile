# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt

.PHONY: help demo test lint peers constraints clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/installed ## install, then send a synthetic study through the whole house
	$(BIN)/radplug demo

test: $(VENV)/installed-dev ## install, then run the tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed-dev ## what CI says about style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

peers: ## Debian's DCMTK, dciodvfy, Orthanc, Redis, PostgreSQL and Chromium, for the tests that want real peers
	$(if $(filter 0,$(shell id -u)),,sudo) apt-get update --quiet
	$(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes \
		--no-install-recommends dcmtk dicom3tools orthanc orthanc-dicomweb redis-server postgresql chromium

constraints: ## compile constraints.txt anew (needs uv); use it with -c, never with -r
	uv pip compile --universal --python-version 3.11 --extra dev --no-annotate --no-header pyproject.toml \
		--output-file constraints.txt

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
