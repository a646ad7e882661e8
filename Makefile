# make demo   sets everything up and shows what the packages do, without a network once installed
# make test   runs the tests
# make lint   runs the linter and the type checker
# make bench  measures against the peers and prints tables (installs torch and tf-keras-vis)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test lint bench clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

# Debian's Python can make an environment but not put pip into it: then the pip outside does.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(BIN)/python install pip; }

$(VENV)/.demo: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/.test: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable ".[test]"
	touch $@

$(VENV)/.bench: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
