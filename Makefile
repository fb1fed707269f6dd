PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 240

.PHONY: demo test fuzz lint docs clean

demo: $(VENV)/.installed
	$(VENV)/bin/cam demo

test: $(VENV)/.installed-for-tests
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

fuzz: $(VENV)/.installed-for-tests
	$(VENV)/bin/python -m fuzzing readers --seconds $(FUZZ_SECONDS)

lint: $(VENV)/.installed-for-development
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Warnings are errors; nothing is fetched. The site is opened from its files.
docs: $(VENV)/.installed-for-documentation
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	$(VENV)/bin/python -m pytest -q tests/docs/test_site.py tests/docs/test_site_in_browser.py
	@echo "open docs/_build/html/index.html"

clean:
	rm -rf $(VENV) build dist docs/_build docs/generated

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-for-tests: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.installed-for-development: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/.installed-for-documentation: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[docs]'
	touch $@
