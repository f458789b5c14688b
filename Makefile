# make rehearse   the whole runbook on an emulated AWS; EXAMPLE=apiserver takes another file of examples/
# make test       lint, types and tests; EVERY_CALL=1 interrupts the largest example too
EXAMPLE ?= gpu-cluster
PYTHON ?= python3

.PHONY: rehearse test lint clean

rehearse: .venv
	.venv/bin/python rehearse.py $(EXAMPLE)

test: lint
	EVERY_CALL=$(EVERY_CALL) .venv/bin/python -m pytest -q -n 2

lint: .venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.venv: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch .venv

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
