# make rehearse   the whole runbook on an emulated AWS; EXAMPLE=apiserver takes another file of examples/
# make bench      seconds, calls and memory beside AWS's own times and Terraform's; about 40 minutes, PARTS=startup takes one part
# make test       lint, types and tests; EVERY_CALL=1 interrupts the largest example too
# make check      what to run while working: lint, types, and the tests that take least
EXAMPLE ?= gpu-cluster
PYTHON ?= python3

.PHONY: rehearse bench test check lint clean

rehearse: .venv
	.venv/bin/python rehearse.py $(EXAMPLE)

bench: .venv
	.venv/bin/python bench.py $(PARTS)

test: lint
	EVERY_CALL=$(EVERY_CALL) .venv/bin/python -m pytest -q -n 2 --dist worksteal

check: lint
	.venv/bin/python -m pytest -q -n 2 --dist worksteal tests/test_console.py tests/test_constants.py tests/test_texts.py tests/test_dry_run.py tests/infrastructure tests/laws/test_style.py \
		tests/laws/test_parts.py tests/laws/test_settings.py

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
