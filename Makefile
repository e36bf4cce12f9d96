# Everything starts from Python ≥ 3.11 with pip, a Rust toolchain and make. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RADON := python/partialpool/datasets/radon_mn.csv

# Stamps: the environment follows the lock file, the core follows its sources.
ENVIRONMENT := $(VENV)/.environment
CORE := $(VENV)/.core
CORE_SOURCES := $(wildcard src/*.rs src/*/*.rs src/*/*/*.rs) Cargo.toml Cargo.lock pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo setup test docs fuzz lint arviz spark bench bench-factors bench-families bench-scale calibrate wheel \
	lock clean

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(CORE)  ## Set everything up, run the tutorial, and fit real data: radon in 85 counties
	$(BIN)/partialpool demo --out out
	@echo
	$(BIN)/partialpool fit $(RADON) "log_radon ~ floor + (floor | county)" --seed 1

setup: $(CORE)  ## Make .venv with the locked requirements and the core, built in release mode

test: lint arviz spark  ## Set everything up and run every check: lint, types, Rust tests, Python tests
	cargo test --release --locked --quiet --lib
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: $(CORE)  ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	cargo fmt --check
	cargo clippy --release --locked --quiet --all-targets --features python -- -D warnings

docs: $(CORE)  ## Build the site into site/: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python docs/scripts/check.py site

arviz: $(CORE)  ## Make the environments in which ArviZ is tested, where their Python is installed
	@$(BIN)/python tests/environments.py arviz

spark: $(CORE)  ## Make the environment in which Spark and Dask are tested, where Java is installed
	@$(BIN)/python tests/environments.py spark

bench: $(CORE)  ## Measure speed beside PyMC + nutpie, NumPyro, lme4 and glmm
	@samplers=0; $(BIN)/python benchmarks/run.py || samplers=$$?; \
		factors=0; $(BIN)/python benchmarks/factors.py || factors=$$?; \
		$(BIN)/python benchmarks/families.py && exit $$((samplers | factors))

bench-factors: $(CORE)  ## Measure the same beside lme4 and glmm alone, for Gaussian models
	$(BIN)/python benchmarks/factors.py

bench-families: $(CORE)  ## Measure families that are not Gaussian beside lme4 and glmm
	$(BIN)/python benchmarks/families.py

bench-scale: $(CORE)  ## Measure large tables; ROWS="1e7 1e8" GROUPS=1e5 for other sizes, SAVE=FILE
	$(BIN)/python benchmarks/scale.py $(if $(ROWS),--rows $(ROWS)) $(if $(GROUPS),--groups $(GROUPS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SAVE),--save $(SAVE))

fuzz: $(CORE)  ## Run random inputs for ten minutes; SEED=7 for others, SEED=7 CASE=9 for one again
	@cd tests && ../$(BIN)/python -m robustness.fuzz.run --seconds 600 --count 1000000 \
		$(if $(SEED),--seed $(SEED)) $(if $(CASE),--case $(CASE))

calibrate: $(CORE)  ## Run the simulation-based calibration at full size
	$(BIN)/python -m pytest -m calibrate -o faulthandler_timeout=7200

wheel: $(ENVIRONMENT)  ## Build a wheel into dist/, which installs without Rust
	$(BIN)/maturin build --release --locked --out dist

lock: $(ENVIRONMENT)  ## Refresh the lock files
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --group dev --group docs \
		--custom-compile-command "make lock" pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--custom-compile-command "make lock" benchmarks/peers.in --output-file benchmarks/peers.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--custom-compile-command "make lock" tests/arviz/requirements.in pyproject.toml \
		--output-file tests/arviz/requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--custom-compile-command "make lock" tests/spark/requirements.in pyproject.toml \
		--output-file tests/spark/requirements.lock
	cargo update

clean:  ## Remove everything that was built
	rm -rf $(VENV) target dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis .arviz .spark \
		benchmarks/.venv* benchmarks/.data
	rm -f python/partialpool/_core*.so
	find python tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs in a tenth of the time; where it can't (mirrors that only pip was told of), pip does.
$(ENVIRONMENT): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making $(VENV) and installing what is needed into it ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$$(grep ^uv== requirements.lock)" && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock || \
		$(PIP) --no-compile -r requirements.lock
	touch $@

# The build of pip finds maturin on the path; only our own crate depends on the `python` feature.
$(CORE): $(ENVIRONMENT) $(CORE_SOURCES)
	@command -v cargo >/dev/null || \
		{ echo "a Rust toolchain is needed: see https://rustup.rs" >&2; exit 1; }
	@echo "Compiling the core, which takes a minute or two ..."
	PATH="$(abspath $(BIN)):$$PATH" MATURIN_PEP517_ARGS="--locked" $(BIN)/python -m pip install \
		--quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@
