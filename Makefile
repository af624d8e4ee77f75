# Two commands do all the set-up: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
READY := $(VENV)/.ready
ENVIRONMENT ?= sample
VIZ := http://127.0.0.1:4141/?types=nodes

# TORCH=cpu leaves CUDA out, half of what is installed on Linux (docs/operations.md).
LOCK := cat requirements.lock
ifeq ($(TORCH),cpu)
LOCK := sed -E '/^(nvidia-|cuda-|triton=)/d; s/^(torch|torchvision)==[^ ]+/&+cpu/' requirements.lock
endif

# Nothing phones home, and nothing waits for a hub that cannot be reached.
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test trust lint format types architecture unit coverage viz mlflow-ui docs pictures lock clean help packages

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v[:2] <= (3, 13) and f"mgn_ma needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: call make with PYTHON=python3.12, say")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(LOCK) | $(BIN)/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin \
	  || { test "$(TORCH)" != cpu || echo "TORCH=cpu: does PIP_EXTRA_INDEX_URL name PyTorch's index of CPU wheels?"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(READY)

##@ Start
run: $(READY) ## Render the sample and run the whole chain on it
	$(BIN)/kedro run --env $(ENVIRONMENT) --pipelines sample_data,__default__

##@ Check
test: $(READY) packages lint types architecture unit ## Lint, types, architecture, all tests

lint: $(READY) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify $(wildcard notebooks/*.ipynb)

types: $(READY) ## Check types, strictly
	$(BIN)/mypy

architecture: $(READY) ## Check that imports go from the pipelines down
	$(BIN)/lint-imports

# A file is the unit that is shared out, so that what its tests share is made once.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile
unit: $(READY) ## Run the tests alone
	$(BIN)/pytest $(PARALLEL)

coverage: $(READY) packages ## Run the tests and say which lines and branches they miss (half as much time again)
	$(BIN)/pytest $(PARALLEL) --cov=mgn_ma --cov-report=term-missing:skip-covered

# The counts of docs/reliability.md; what `make test` tries of the same is in tests/trust/counts.py.
MUTANTS := 2000
FILES := 2000
KILLS := 100
VIDEOS := 1000
EXAMPLES := 20000
trust: $(READY) packages ## Damage, kill, fill and count, as docs/reliability.md tells (MUTANTS=300 KILLS=20 make less of it)
	TRUST_MUTANTS=$(MUTANTS) TRUST_FILES=$(FILES) TRUST_KILLS=$(KILLS) TRUST_VIDEOS=$(VIDEOS) TRUST_EXAMPLES=$(EXAMPLES) \
	  $(BIN)/pytest tests/trust

# Debian keeps PostgreSQL's server off the PATH.
packages: ## Install what the browser and database tests need (Debian, Ubuntu), if it is missing
	@missing=; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing="$$missing postgresql"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "Missing here:$$missing. The tests that need them will be skipped (install the packages of these names)."; fi

##@ Look
# Opened with the datasets filtered out, the chain is ten boxes; "Datasets" under "Filters" shows them.
viz: $(READY) ## Look at the pipelines in Kedro-Viz
	@(until (exec 3<>/dev/tcp/127.0.0.1/4141) 2>/dev/null; do sleep 1; done; $(BIN)/python -m webbrowser -t "$(VIZ)" >/dev/null) & \
	echo "Kedro-Viz: $(VIZ)"; $(BIN)/kedro viz run --env $(ENVIRONMENT) --include-hooks --no-browser

mlflow-ui: $(READY) ## Look at the runs in MLflow
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

docs: $(READY) ## Build the documentation into site/
	$(BIN)/python docs/parameters.py
	$(BIN)/zensical build --strict

pictures: $(READY) packages ## Take the pictures of docs/images anew, after `make run`
	$(BIN)/python docs/pictures.py

##@ Keep
format: $(READY) ## Format the code and strip the notebooks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout $(wildcard notebooks/*.ipynb)

lock: ## Compile requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras \
	  --no-emit-index-url --no-emit-find-links --no-header --output-file requirements.lock

clean: ## Remove the sample's data, caches and built pages; runs and the environment stay
	rm -rf data/sample data/smoke build site htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

help: ## Say what there is
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
