# Every target works on a machine that has only Python >= 3.11 and make; uv is fetched from the package index when it is missing.
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
# A tool's own environment must not decide where this project's environment goes.
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help run test test-unit test-component test-engines test-cluster cluster-programs cluster cluster-down lint format bench chaos clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.uv/bin/uv:
	@echo "Fetching uv into .uv/ ..."
	@$(PYTHON) -m venv .uv >/dev/null 2>&1 && .uv/bin/python -m pip install --quiet uv || $(PYTHON) -m pip install --quiet --target .uv uv

.venv/run: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	@echo "Installing inferry ..."
	@$(UV) sync --frozen --inexact --extra cli
	@touch $@

.venv/dev: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	@echo "Installing inferry and what its tests need ..."
	@$(UV) sync --frozen --inexact --extra dev
	@touch $@

run: .venv/run ## Serve the example model, ask it a question, keep serving until Ctrl-C
	@exec .venv/bin/inferry local --file examples/parrot.yaml --ask "Who are you?"

test: test-unit test-component ## Run the unit and component tests

test-unit: .venv/dev ## Pure rooms: seconds
	.venv/bin/pytest tests/unit

test-component: .venv/dev ## Real processes: engine, gateway, store, the whole local system
	.venv/bin/pytest tests/component

test-engines: .venv/dev ## The example model's answers, all of them, on every engine this machine can install
	.venv/bin/pytest tests/engines

cluster-programs: .venv/dev ## Build Kubernetes, etcd, kwok and helm at the pinned versions: ten minutes, once per machine
	@PYTHONPATH=tests .venv/bin/python -m cluster.build

test-cluster: cluster-programs ## Everything that needs a real API server, with simulated nodes
	.venv/bin/pytest tests/kubernetes

cluster: cluster-programs ## A control plane with simulated nodes on loopback, for kubectl; prints its KUBECONFIG
	@PYTHONPATH=tests .venv/bin/python -m cluster up

cluster-down: .venv/dev ## Stop it and remove what it kept
	@PYTHONPATH=tests .venv/bin/python -m cluster down

lint: .venv/dev ## Style, formatting, types, floors
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/dev ## Rewrite the code the way `make lint` wants it
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/dev ## Measure start-up, first answer, gateway overhead and memory, side by side in one run
	.venv/bin/python tests/bench

chaos: .venv/dev ## 100 rounds of kill -9 against engine, gateway and owner while clients ask questions
	PYTHONPATH=tests .venv/bin/python -m component.local.chaos --rounds 100

clean: ## Remove what the targets above made in this folder
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
