# make demo   sets everything up in .venv and shows what reranking does
# make test   sets everything up in .venv and runs the tests
# make check  lint, types and import contracts
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check format clean

demo: $(VENV)/demo
	$(BIN)/hosted-rerank demo

test: $(VENV)/test
	$(BIN)/python -m pytest -n auto

check: $(VENV)/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(VENV)/check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

# The files below $(VENV) are stamps: what is installed there, as of the last change of pyproject.toml.
$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit("hosted-rerank needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	@touch $@

$(VENV)/demo: $(VENV)/made pyproject.toml
	$(PIP) install --editable '.[demo]'
	@touch $@

$(VENV)/test: $(VENV)/demo
	$(PIP) install --group test
	@touch $@

$(VENV)/check: $(VENV)/test
	$(PIP) install --group check
	@touch $@
