# Two commands do all set-up themselves: `make demo` and `make test`. The rest are thin names.
# An active virtual environment is used as it is, with the torch in it; else .venv is made (VENV=path for another).
PYTHON ?= python3
VENV ?= $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
STORE ?= runs/heatdrift.duckdb

.PHONY: install demo test test-slow test-browser test-newest bench style docs site lock clean

install: $(VENV)/.heatdrift-run

demo: $(VENV)/.heatdrift-run
	$(BIN)/heatdrift train --all --study demo --store $(STORE)
	$(BIN)/heatdrift stats interaction --metric retention_pct --study demo --store $(STORE)
	$(BIN)/heatdrift stats best --study demo --store $(STORE)
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

# The newest open_clip, pre-releases too, next to the installed one: once these pass with 4, its bound can be lifted.
test-newest: $(VENV)/.heatdrift-dev
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --pre --target build/newest open_clip_torch
	PYTHONPATH=build/newest $(BIN)/python -c "import open_clip; print(open_clip.__file__, open_clip.__version__)"
	PYTHONPATH=build/newest $(BIN)/pytest -q tests/unit/model

# Ratios in one run; each prints the table that docs/performance.md shows. On a GPU: tests/benchmarks/bench_gpu.py build/bench
bench: $(VENV)/.heatdrift-dev
	for method in full_ft lora_r8; do for precision in float32 auto; do \
	  OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_cell.py build/bench --method $$method --precision $$precision; \
	done; done
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_interaction.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_report.py

style: $(VENV)/.heatdrift-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.heatdrift-dev
	$(BIN)/python -m heatdrift.cli.docs docs

# The documentation as a site in build/site; dead links and pages that no heading names fail.
site: $(VENV)/.heatdrift-site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --site-dir build/site
	@echo "look at it: $(BIN)/python -m http.server --directory build/site"

# requirements.lock and docs/dependencies.md, of what is installed: with an extra in the lock, install it before.
lock: $(VENV)/.heatdrift-dev
	$(BIN)/python -m heatdrift.cli.dependencies .

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

$(VENV)/.heatdrift-site: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[site]'
	touch $@
