# make help       what there is to make
# make .venv      what the scripts and the tests need, in .venv
# make rehearse   the whole runbook on an emulated AWS; EXAMPLE=apiserver takes another file of examples/, REGION=cn-north-1 another region
# make test       lint, types and tests; EVERY_CALL=1 interrupts the largest example too
# make browser    a headless Chromium, with which a test looks at the picture, where there is none and apt-get may install it
# make check      what to run while working: lint, types, and the tests that take least
# make lint       ruff and mypy
# make docs       write outputs and tables of README.md and docs/ anew
# make bench      seconds, calls and memory beside AWS's own times and Terraform's; about 40 minutes, PARTS=startup takes one part
# make lock       write requirements.txt anew: the current versions of what pyproject.toml asks for
# make clean      remove what was installed and cached
EXAMPLE ?= gpu-cluster
REGION ?= us-east-1
PYTHON ?= python3

# what Python compiles is kept, where the environment says otherwise too: each page is a process of its own
export PYTHONDONTWRITEBYTECODE =

.PHONY: help rehearse test browser check lint docs bench lock clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

rehearse: .venv
	.venv/bin/python rehearse.py $(EXAMPLE) --region $(REGION)

test: lint
	EVERY_CALL=$(EVERY_CALL) .venv/bin/python -m pytest -q -rs -n 2 --dist worksteal

browser: .venv
	.venv/bin/python -m tests.browser

check: lint
	.venv/bin/python -m pytest -q -n 2 --dist worksteal tests/test_console.py tests/test_constants.py tests/test_texts.py tests/test_dry_run.py tests/infrastructure tests/laws/test_style.py \
		tests/laws/test_parts.py tests/laws/test_settings.py

lint: .venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

docs: .venv
	.venv/bin/python -m tests.documents

bench: .venv
	.venv/bin/python bench.py $(PARTS)

.venv: pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch .venv

lock: .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	echo '# What was tested, for Python 3.10 and newer: make lock writes it anew from pyproject.toml.' > requirements.new
	.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --no-emit-index-url \
		--no-header --no-annotate --quiet >> requirements.new
	mv requirements.new requirements.txt

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .rehearsal *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
