# Every task of the project. `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := penstock tests benchmarks setup.py
KERNEL := $(wildcard penstock/kernels/*.pyx penstock/kernels/include/*.h penstock/kernels/include/*/*.h) setup.py
# The build's own tools first: a new environment brings an older setuptools than pyproject.toml asks for.
# pip says what it does: the first set-up takes most of a minute, and nobody waits for that in silence.
# Python compiles what it loads; pip would compile all of 9,000 modules, one after the other, for most of a minute.
INSTALL = echo 'Setting up: downloading packages and compiling six modules takes about two minutes.' && \
	$(BIN)/pip install -c constraints.txt --no-compile --progress-bar on 'setuptools>=77' 'Cython>=3.1' && \
	$(BIN)/pip install -c constraints.txt --no-compile --progress-bar on --no-build-isolation --config-settings editable_mode=compat
PYTEST ?= $(BIN)/pytest -n 2 --dist loadgroup

# The tests and the demo start hundreds of processes, each of which would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types types-js sanitize bench soak chaos serve format clean

help: ## List the tasks
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/runtime ## Set up, then the whole path on sample events: search, export, download, verify, look at the file
	@$(BIN)/penstock demo

test: .venv/dev ## Set up, then pass the tests (on PostgreSQL and Ceph too where scripts/*.sh have started them)
	$(PYTEST) tests

check: lint types types-js sanitize test ## What CI runs

lint: .venv/dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: .venv/dev
	$(BIN)/mypy penstock

# The console's modules against the API's shapes. Without the tools: skipped here, a failure in CI.
types-js: .venv/dev
	@mkdir -p build/console
	@if [ -d tests/browser/node_modules/typescript ]; then \
		$(BIN)/python scripts/openapi_types.py > build/console/penstock-api.d.ts && \
		tests/browser/node_modules/.bin/tsc -p tests/browser; \
	else echo "types-js: run scripts/browser.sh first"; [ -z "$$CI" ]; fi

sanitize: .venv/dev
	scripts/kernel_sanitized.sh

bench: .venv/bench ## Measure exports side by side with ClickHouse, Polars, DuckDB and the floor
	$(BIN)/python benchmarks/export.py

# CI=true: what cannot run fails instead of being skipped.
soak: .venv/dev ## The long crash runs on SQLite and PostgreSQL, embedded store and Ceph (started if not named), and 10,000 random queries of needles; ends with its counts
	[ -n "$$PENSTOCK_TEST_POSTGRESQL" ] || eval "$$(scripts/postgresql.sh start)"; \
	[ -n "$$PENSTOCK_TEST_CEPH" ] || eval "$$(scripts/ceph.sh start)"; \
	CI=true $(BIN)/pytest -m soak tests
	PENSTOCK_TEST_QUERIES=10000 $(BIN)/pytest --timeout 3600 tests/unit/lake/read/test_needed.py tests/unit/lake/read/test_sparse.py

chaos: .venv/dev ## Minutes of kills, full disks, cut stores and a hostile tenant, then every file exact; PENSTOCK_CHAOS_SECONDS and _SEED
	$(BIN)/pytest -m soak tests/behaviour/test_chaos.py

serve: .venv/runtime ## Run the service on this machine, home folder .penstock
	$(BIN)/penstock init --if-missing && $(BIN)/penstock serve

format: .venv/dev ## Format the code
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean: ## Remove what the tasks made, the virtual environment included
	rm -rf .venv .demo .bench build *.egg-info penstock/kernels/*.so

# Set-up. Each stamp is made anew when what it depends on changes.
.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python pyproject.toml constraints.txt $(KERNEL)
	$(INSTALL) -e .
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt $(KERNEL)
	$(INSTALL) -e '.[dev]'
	@touch $@ .venv/runtime

.venv/bench: .venv/dev
	$(INSTALL) -e '.[dev,bench]'
	@touch $@
