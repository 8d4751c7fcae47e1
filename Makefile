# `make demo` runs the main job on this machine, `make test` all tests; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test lint bench wheel dashboards clean

demo: $(VENV)/.collector
	@$(BIN)/forewarn demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/forewarn rules check --strict rules

bench: $(VENV)/.dev
	$(BIN)/python tests/bench/latency.py $(ARGS)

wheel: $(VENV)/.dev
	tests/system/wheel_check.sh $(BIN)/python

dashboards: $(VENV)/.dev
	$(BIN)/python dashboards/build.py

$(VENV)/.collector: pyproject.toml
	@echo "setting up $(VENV) (once, about half a minute)"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[collector]'
	@touch $@

$(VENV)/.dev: $(VENV)/.collector
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
