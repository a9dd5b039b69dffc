# One door: people and CI call the same targets. PYTHON is the environment with the `dev` extra installed.
PYTHON ?= .venv/bin/python

.PHONY: check lint types package test test-slow bench docs site

check: lint types package

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

# The folders beside noisyweb/ become sub-packages only when installed, so types are checked on an installed tree.
types:
	rm -rf build/typed
	$(PYTHON) -m pip install --quiet --no-deps --target build/typed .
	cd build/typed && $(abspath $(PYTHON)) -m mypy --config-file ../../pyproject.toml -p noisyweb

package:
	rm -rf build/dist
	$(PYTHON) -m build --outdir build/dist .
	$(PYTHON) -m twine check --strict build/dist/*
	PYTHON=$(PYTHON) bash tests/check_wheel.sh build/dist

test:
	$(PYTHON) -m pytest

test-slow:
	$(PYTHON) -m pytest -m slow

bench:
	$(dir $(PYTHON))noisyweb build --dataset cars --noise 0.4
	for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(PYTHON) $$script || exit 1; done

docs:
	$(PYTHON) tests/assets/make_cli_reference.py > docs/cli.md
	$(PYTHON) tests/assets/make_notebook.py

# Into build/site, to be read without a server.
site:
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict
