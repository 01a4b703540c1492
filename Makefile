# Every target sets itself up from a bare checkout; a second call installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

# From PyPI, torch on Linux is a CUDA build of several GB. For that one:
# make install TORCH=torch==2.13.0
ifeq ($(shell uname -s),Linux)
TORCH ?= torch==2.13.0+cpu
else
TORCH ?= torch==2.13.0
endif
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo test install check format clean
.DEFAULT_GOAL := install

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/gnsim discover solar-system --out runs/demo

# One thread a worker: two workers with two threads each fight over two cores.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p gnsim
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch first and by itself, so that PyTorch's own index is asked for nothing else.
$(STAMP): pyproject.toml setup.py constraints.txt requirements-hashed.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || { \
		echo "gnsim needs Python 3.11 or 3.12, but '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>&1); name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 2; }
	@echo "installing gnsim and what it needs into $(VENV) (once; some minutes)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) -c constraints.txt '$(TORCH)'
	$(PIP) --no-deps --require-hashes -r requirements-hashed.txt
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@
