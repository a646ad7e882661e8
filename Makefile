# make demo   sets everything up and explains embedded pictures, without a network once installed
# make test   runs the tests
# make lint   runs the linter and the type checker
# make test-oldest  runs the core's tests on the oldest supported TensorFlow and Keras
# make test-plain-kernels  runs what depends on the processor's kernels as on one without AVX-512
# make test-slow  runs what takes long and make test leaves out: the examples' trainings
# make bench  measures against the peers and prints tables (installs torch and tf-keras-vis), then test-slow

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST ?= .venv-oldest
DEMO ?= gradcam-demo
CORE_TESTS ?= $(addprefix tests/keras_stn/test_,$(addsuffix .py,layers saving theta sampler plots)) \
	$(addprefix tests/gradcam/,trace/test_tap.py trace/test_taps.py trace/test_saved_taps.py \
	trace/test_private.py targets cam/test_methods.py cam/test_explainer.py cam/test_several.py \
	cam/test_warps.py cam/test_same_map.py loading/test_loading.py loading/test_saved_models.py)
KERNEL_TESTS ?= $(addprefix tests/gradcam/,callbacks cam doctor trace \
	loading/test_saved_models.py loading/test_channels_last.py)
PIP := $(BIN)/python -m pip --disable-pip-version-check

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-oldest test-plain-kernels test-slow lint bench clean

demo: $(VENV)/.demo
	$(BIN)/gradcam demo --out $(DEMO)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-oldest:
	$(MAKE) $(OLDEST)/.oldest VENV=$(OLDEST)
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal $(CORE_TESTS) $(PYTEST_ARGS)

test-plain-kernels: $(VENV)/.test
	TF_ENABLE_ONEDNN_OPTS=0 $(BIN)/python -m pytest -n 2 --dist worksteal $(KERNEL_TESTS) $(PYTEST_ARGS)

bench: $(VENV)/.bench $(VENV)/.test
	$(BIN)/python -m benchmarks
	$(MAKE) test-slow

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow $(PYTEST_ARGS)

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

$(OLDEST)/.oldest: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable ".[test]" tensorflow==2.18.0 keras==3.5.0
	touch $@

$(VENV)/.bench: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) gradcam-demo build dist *.egg-info
