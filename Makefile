# make demo   sets everything up in .venv and shows what reranking does
# make test   sets everything up in .venv and runs the tests
# make test-third-party   the vendors' SDKs and other packages against the local server, in environments of their own; needs chromium and Java
# make test-servers       our client against a server that others wrote (infinity), likewise; slow
# make bench  side by side with peers, in an environment of their own; takes some 25 minutes, and valgrind for instructions
# make soak   five minutes of calls in every way at once, with faults; counts what must not happen
# make test-slow   the tests that take a minute: the figures that the documentation states
# make test-bulk   drivers of large bulk jobs that are killed, terminated and interrupted; counts what is paid twice
# make check  lint, types, import contracts and the documentation, built strictly
# make docs   builds the documentation and serves it, anew after each change
# make ranks  draws the README's picture anew
# make release-check   the built sdist and wheel: twine, each extra alone, the README from the wheel; slow
# make api-check       what is public, beside the last tag
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

THIRD_PARTY := $(addprefix test-third-party-,frameworks sdks proxy engines infinity npm browser)
OPEN := -W ignore::pytest.PytestUnraisableExceptionWarning # sockets that these packages leave open
NPM := ai @ai-sdk/cohere @ai-sdk/togetherai voyage-ai-provider @openrouter/sdk

.PHONY: demo test test-third-party $(THIRD_PARTY) test-servers bench soak test-slow test-bulk check site docs ranks release-check api-check format clean

demo: $(VENV)/demo
	$(BIN)/hosted-rerank demo

test: $(VENV)/test
	$(BIN)/python -m pytest -n auto -m "not ray and not slow"
	$(BIN)/python -m pytest -m ray tests/bulk tests/test_docs.py

test-slow: $(VENV)/test
	$(PIP) install --group slow
	$(BIN)/python -m pytest -m slow tests/local tests/bulk

test-third-party: $(THIRD_PARTY)

$(THIRD_PARTY): test-third-party-%: $(VENV)-third-party-%/made
	$(VENV)-third-party-$*/bin/python -m pip --quiet install --editable '.[local,bulk]' --group third-party-$*
	$(if $(filter npm,$*),$(VENV)-third-party-npm/bin/npm install --silent --no-audit --prefix $(VENV)-third-party-npm $(NPM))
	THIRD_PARTY=$* $(VENV)-third-party-$*/bin/python -m pytest $(OPEN) tests/third_party/$*

test-servers: $(VENV)/test $(VENV)-infinity/made
	$(VENV)-infinity/bin/python -m pip --quiet install --requirement tests/third_party/infinity.txt
	INFINITY=$(VENV)-infinity/bin/infinity_emb $(BIN)/python -m pytest tests/third_party -m slow

bench: $(VENV)-bench/made
	$(VENV)-bench/bin/python -m pip --quiet install --editable '.[langchain,llamaindex,local,ray]' --group bench
	$(VENV)-bench/bin/python -m benchmarks

soak: $(VENV)/test
	$(BIN)/python -m benchmarks.soak

test-bulk: $(VENV)/test
	BULK_ROWS=large $(BIN)/python -m pytest tests/bulk/test_durability.py tests/bulk/test_ray_nodes.py

check: $(VENV)/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python --project tests/typing
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory site

site: $(VENV)/check
	@$(BIN)/zensical build --clean --strict >.site.log 2>&1 && ! grep -q griffe: .site.log || { cat .site.log; exit 1; }

docs: $(VENV)/check
	$(BIN)/zensical serve --open

ranks: $(VENV)/demo
	$(BIN)/python docs/ranks.py

release-check: $(VENV)/check
	PYTHON=$(PYTHON) .ci/release-check

api-check: $(VENV)/check
	PYTHON=$(abspath $(BIN))/python .ci/api-check

format: $(VENV)/check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VENV)-third-party-* $(VENV)-infinity $(VENV)-bench

# The files below $(VENV) are stamps: what is installed there, as of the last change of pyproject.toml.
$(VENV)/made $(THIRD_PARTY:test-%=$(VENV)-%/made) $(VENV)-infinity/made $(VENV)-bench/made:
	@$(PYTHON) -c 'import sys; sys.exit("hosted-rerank needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade pip
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
