# What a developer types. `make help` lists the targets; `.ci/run` runs `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

UV_VERSION := 0.13.8
UV := .tools/uv-$(UV_VERSION)/bin/uv
BIN := .venv/bin
LOCALCLUSTER := $(BIN)/python -m localcluster
ARGS ?=

# The machine's Python and the machine's certificates: nothing is fetched but packages.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := true

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: cluster ## Bring up a cluster and the operator, run a Ray cluster and a job on it
	@LOCALCLUSTER="$(LOCALCLUSTER)" scripts/demo.sh

.PHONY: test
test: ## Everything CI runs: check, then the tests on an API server and on a local cluster
	@$(MAKE) check
	@$(MAKE) api
	@$(MAKE) e2e

.PHONY: check
check: install ## Format, lint, types, import layers, generated files, charts, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(LOCALCLUSTER) build helm kubernetes > /dev/null
	$(BIN)/pytest tests/unit -n 2

.PHONY: unit
unit: install ## The unit tests alone (ARGS="-k …" selects)
	$(BIN)/pytest tests/unit $(ARGS)

.PHONY: api
api: install ## The tests on a bare API server (ARGS="-k …" selects)
	$(LOCALCLUSTER) build kubernetes > /dev/null
	$(BIN)/pytest tests/api -n 2 --dist loadfile $(ARGS)

# A cluster of one's own: KUBECONFIG=… OPERATOR_IMAGE=… make e2e
.PHONY: e2e
e2e: $(if $(KUBECONFIG),install,cluster) ## The e2e tests (ARGS="-k …"); KUBECONFIG=… OPERATOR_IMAGE=… uses that cluster
	$(BIN)/pytest tests/e2e -m "not full" $(ARGS)

.PHONY: e2e-full
e2e-full: $(if $(KUBECONFIG),install,cluster) ## The e2e tests with the long campaigns
	$(BIN)/pytest tests/e2e $(ARGS)

.PHONY: bench
bench: install ## Measure the operator, with real Ray and with many clusters: one JSON line a case (ARGS="fleet 100")
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: cluster
cluster: install ## Bring up the local cluster, with the images of now
	$(LOCALCLUSTER) up

.PHONY: cluster-down
cluster-down: install ## Take the local cluster down
	$(LOCALCLUSTER) down

.PHONY: kubeconfig
kubeconfig: install ## Print the local cluster's kubeconfig path (with make -s)
	@$(LOCALCLUSTER) kubeconfig

.PHONY: images
images: install ## Build what changed of the images and load it into the running local cluster
	$(LOCALCLUSTER) images

.PHONY: crds
crds: install ## Write the generated files: CRDs, RBAC rules, documents, the dashboard
	$(BIN)/python -m scripts.generate

.PHONY: kubernetes-types
kubernetes-types: install ## Fetch the pinned Kubernetes' schemas that the CRDs embed; then `make crds`
	$(BIN)/python -m scripts.kubernetes_types

.PHONY: install
install: $(UV) ## Install the locked dependencies into .venv
	@$(UV) sync --locked --quiet

$(UV):
	@python3 -c 'import ensurepip' 2>/dev/null || { \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv; } >&2
	@python3 -m venv $(@D)/..
	@$(@D)/pip install --quiet uv==$(UV_VERSION)
