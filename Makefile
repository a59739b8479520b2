# Every target sets up what it needs; the second call is fast. Only python3 >= 3.11 with venv is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help env env-dev demo run test lint format bench accuracy fuzz soak dashboards grafana-preview pictures configuration lock clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 17

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "volgauge needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# --no-deps: the lock is complete; `pip check` proves it.
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	@echo "volgauge: installing the locked dependencies into $(VENV) (once, about half a minute)" >&2
	@$(PIP) install --require-hashes --no-deps -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "volgauge: installing the locked development tools into $(VENV) (once)" >&2
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.txt
	@$(PIP) check >/dev/null
	@touch $@

env: $(VENV)/.runtime  ## Create .venv from the lock
env-dev: $(VENV)/.dev  ## Create .venv with the development tools

demo: $(VENV)/.runtime  ## The whole pipeline on a simulated venue: Redis, /metrics, live page
	@exec $(BIN)/volgauge demo $(ARGS)

run: $(VENV)/.runtime  ## The same service against the live exchanges
	@exec $(BIN)/volgauge run $(ARGS)

# Two workers would compile the same kernels side by side.
test: $(VENV)/.dev  ## All tests (about 13 minutes on two cores)
	@$(BIN)/volgauge warm >/dev/null
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/.dev  ## ruff, mypy --strict, import contracts, spelling
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy service tests && $(BIN)/lint-imports --no-cache && $(BIN)/codespell

format: $(VENV)/.dev  ## Rewrite to the house format
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

# Peers are measured in an environment of their own: nothing of theirs may meet our lock.
.venv-bench/.peers: tests/benchmarks/requirements.txt | $(BIN)/python
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps -r tests/benchmarks/requirements.txt
	@touch $@

bench: $(VENV)/.dev .venv-bench/.peers  ## Speed: medians and ratios in one run, peers beside us
	@$(BIN)/python -m tests.benchmarks $(ARGS)

accuracy: $(VENV)/.dev  ## Known truths, rivals, attacks, recorded chains (VOLGAUGE_TEST_DATA)
	@$(BIN)/volgauge bench accuracy $(if $(VOLGAUGE_TEST_DATA),--data $(VOLGAUGE_TEST_DATA)) $(ARGS)

fuzz: $(VENV)/.dev  ## Decoders against mutated frames, a million cases
	@VOLGAUGE_FUZZ_CASES=$${VOLGAUGE_FUZZ_CASES:-1000000} $(BIN)/python -m pytest -q tests/property/test_fuzz_*.py $(ARGS)

soak: $(VENV)/.dev  ## The slow tests: faults at full length
	@$(BIN)/python -m pytest -q -m slow tests $(ARGS)

dashboards: $(VENV)/.dev  ## Write the Grafana dashboards from their source
	@$(BIN)/python deploy/grafana/build.py

# Opt-in: needs npm, prometheus and chromium; half a gigabyte under .grafana-preview, once.
grafana-preview: $(VENV)/.dev  ## Draw the dashboards with Grafana's own panels (npm, Prometheus, Chromium)
	@PYTHONPATH=tests $(BIN)/python deploy/grafana/preview/render.py $(ARGS)

# Opt-in: needs chromium; ten minutes, most of them waiting for the readings to be warm.
pictures: $(VENV)/.dev  ## Take the pictures of the documents from a running demo (Chromium)
	@PYTHONPATH=tests $(BIN)/python deploy/docs/pictures.py $(ARGS)

configuration: $(VENV)/.runtime  ## Write the reference of every setting
	@$(BIN)/python deploy/docs/configuration.py

lock:  ## Renew the lock files (needs uv)
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group build pyproject.toml -o requirements.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group dev --all-extras pyproject.toml -o requirements-dev.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group bench -o tests/benchmarks/requirements.txt

clean:  ## Remove what the targets made
	rm -rf $(VENV) .venv-bench .grafana-preview build dist .mypy_cache .ruff_cache .hypothesis
	find service tests deploy -name __pycache__ -type d -prune -exec rm -rf {} +
