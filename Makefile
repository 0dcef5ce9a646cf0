# `make demo` tries it, `make check test` is what CI runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BACKEND_PORT ?= 8000
CONSOLE_PORT ?= 8501

# Idle threads sleep and do not spin (backend/engines/threads.py tells why).
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help install demo test e2e check soak format bench demo-adapters screenshots clean

help:  ## Show what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install:  ## Make the environment and install the pinned packages
	@$(PYTHON) -I replybench/install.py --venv $(VENV)

demo: install  ## Start everything on this machine and print the address
	@$(BIN)/replybench demo --backend-port $(BACKEND_PORT) --console-port $(CONSOLE_PORT)

test: install  ## Run all tests, the browser's included
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install  ## Lint, formatting, types, Dockerfile, compose file, licences, known vulnerabilities
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/python -m tests.supply_chain --audit

soak: install  ## 20 minutes of mixed load: does memory stay flat?
	@$(BIN)/python -m benchmarks.soak

format: install  ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The folder is called widget too.
widget/node_modules/.package-lock.json: widget/package-lock.json
	@npm --prefix widget ci --loglevel=error

widget: widget/node_modules/.package-lock.json  ## Pack the Zoho widget (REPLYBENCH_URL): two zips in widget/dist/
	@npm --prefix widget run --silent pack

bench: install  ## Measure speed and memory as ratios against a peer in the same run
	@$(BIN)/python -m benchmarks

demo-adapters: install  ## Train the demo's two adapters again
	@$(BIN)/replybench prepare --in demo/helpdesk --out data/demo
	@$(BIN)/replybench train training/recipes/demo-articles-and-threads.yaml --again --into demo/adapters/articles-and-threads
	@$(BIN)/replybench train training/recipes/demo-threads.yaml --again --into demo/adapters/threads

screenshots: install  ## Take the pictures of the documents anew
	@$(BIN)/python -m tests.e2e.screenshots
	@$(BIN)/python -m tests.widget.screenshots

clean:  ## Remove the environment and the demo's data
	rm -rf $(VENV) .replybench
