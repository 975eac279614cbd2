# Two commands do all set-up themselves: `make demo` and `make test`. The rest are thin names.
# An active virtual environment is used as it is, with the torch in it; else .venv is made (VENV=path for another).
PYTHON ?= python3
VENV ?= $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
STORE ?= runs/heatdrift.duckdb

.PHONY: install demo test test-slow test-browser style docs clean

install: $(VENV)/.heatdrift-run

demo: $(VENV)/.heatdrift-run
	$(BIN)/heatdrift train --all --study demo --store $(STORE)
	$(BIN)/heatdrift stats interaction --metric retention_pct --study demo --store $(STORE)
	$(BIN)/heatdrift report --html --study demo --store $(STORE) --out reports/demo.html
	@echo "open reports/demo.html in a browser; ask anything with: $(BIN)/heatdrift sql --list"

test: $(VENV)/.heatdrift-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto

test-slow: $(VENV)/.heatdrift-dev
	$(BIN)/pytest -q -m slow

test-browser: $(VENV)/.heatdrift-dev
	$(BIN)/pytest -q -m browser

style: $(VENV)/.heatdrift-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.heatdrift-dev
	$(BIN)/python -m heatdrift.cli.docs docs

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.heatdrift-run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.heatdrift-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
