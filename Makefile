# Two commands: `make demo` shows the product, `make test` proves it. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

DOCS := $(VENV)/.docs-installed

.PHONY: demo test quick lint docs install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV) && \
		uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,gan,onnx]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,gan,onnx]'; \
	fi
	@touch $@

demo: $(STAMP)
	$(BIN)/evoray run quickstart

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

# One process a core, one thread each; Ray starts its own processes, so its tests come one after the other.
quick: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal --quick

# Every part runs, whatever became of the one before; the end tells which failed.
test: $(STAMP)
	@failed=""; \
	$(MAKE) --no-print-directory lint || failed="$$failed lint"; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --durations=15 -n auto --dist worksteal -m "not ray" || failed="$$failed tests-without-ray"; \
	$(BIN)/python -m pytest -q --durations=15 -m ray || failed="$$failed tests-with-ray"; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

$(DOCS): $(STAMP)
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[docs]'; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'; \
	fi
	@touch $@

# The site in site/; a link that leads nowhere is an error.
docs: $(DOCS)
	$(BIN)/mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) site build *.egg-info platform/*.egg-info
