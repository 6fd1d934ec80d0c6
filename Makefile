# The menu: `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
HAROMBE := $(TARGET_DIR)/debug/harombe
# Flags for the demo: `make demo DEMO="--yes --data /var/tmp/demo"`.
DEMO ?=
# Flags for the cluster: `make cluster CLUSTER=--once` ends after the job, with its exit code.
CLUSTER ?=

.PHONY: help demo cluster build test check ci fmt lint proto-lint setup setup-test release load

help: ## Show this menu
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup build ## One message, all the way, on real parts: needs root and Python, no key, no server
	@$(HAROMBE) demo $(DEMO)

cluster: setup build ## Ten processes on loopback, two of each that may be two, on Postgres; runs the demo's job
	@deploy/cluster/cluster.py $(HAROMBE) $(CLUSTER)

build: ## Build the one binary, for development
	$(CARGO) build -p harombe

release: ## Build the one binary, optimised
	$(CARGO) build --release -p harombe

setup: ## Install what a run needs: gVisor's runsc
	@deploy/setup/runsc.sh

setup-test: setup ## Install what the tests and checks need beside it
	@deploy/setup/test.sh
	@deploy/setup/postgres.sh

test: setup-test ## Run every test
	$(CARGO) test --workspace --no-fail-fast

check: fmt lint proto-lint test ## What to run before each commit

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets -- -D warnings

proto-lint: setup-test ## buf's STANDARD rules over proto/
	@deploy/setup/buf.sh lint

ci: check ## What .ci/run runs: every check, every test, and the demo unattended, in one process and in ten
	$(CARGO) build -p harombe
	deploy/compose/check.sh $(HAROMBE)
	$(HAROMBE) demo --yes
	deploy/cluster/cluster.py $(HAROMBE) --once

load: ## Measure: `make load WHAT=audit-append` (release build)
	$(CARGO) run --release -p harombe-load -- $(WHAT)
