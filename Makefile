# Two commands matter: `make run` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
PYTHON_BIN := .venv/bin

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: ## Make .venv with the pinned versions
	@sh deploy/install.sh

dev: ## The same with the tools for tests and checks
	@sh deploy/install.sh dev

run: install ## Start everything in the foreground; Ctrl-C stops it
	@exec $(PYTHON_BIN)/python manage.py run

vllm: ## Provide vLLM in .venv-vllm; the next `make run` starts it as engine vllm-demo
	@sh deploy/vllm.sh

test: dev ## Install what the tests need and run them all
	@sh deploy/browser.sh
	@$(PYTHON_BIN)/python -m pytest

check: dev ## Format, lint, types, import contracts, migrations, deployment settings, docs
	@sh .ci/check

soak: dev ## Long suites: kill -9 at random, bounded load
	@sh deploy/browser.sh
	@$(PYTHON_BIN)/python -m pytest -m soak

.PHONY: help install dev run vllm test check soak
