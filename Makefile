# Every target makes its own .venv first (scripts/setup.sh); a second call does no work twice.
.PHONY: help up demo test test-aws check bench format lock run-env dev-env

DATA_DIR ?= mlops-data
PORT ?=

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run-env:
	@scripts/setup.sh run

dev-env:
	@scripts/setup.sh dev

up: run-env ## start the platform on this machine and keep it running
	@.venv/bin/mlops up --data-dir $(DATA_DIR)$(if $(PORT), --port $(PORT))

demo: run-env ## the whole job on real data: upload, train three models, approve, deploy, predict, score a file
	@.venv/bin/mlops demo

test: dev-env ## all tests but those of test-aws
	.venv/bin/python -m pytest -n 2 --dist loadfile -m "not aws"

test-aws: dev-env ## the aws mode end to end: Lambda's runtime, an AWS emulator, SageMaker's API over the real containers
	.venv/bin/python -m pytest -n 2 --dist loadfile -m aws

check: dev-env ## ruff, mypy --strict, import-linter, hadolint, the slim API process
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile
	.venv/bin/python -m pytest -q tests/guards

bench: dev-env ## figures, as ratios measured in one run
	@env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m bench

format: dev-env ## ruff, writing
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

lock: ## new exact versions into requirements/ (needs uv)
	@scripts/lock.sh
