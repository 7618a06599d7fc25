# Two commands do everything on a machine with Python 3.11+ and make: `make run`, `make test`.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help run test faults ui dbt lint lint-python lint-sql lock env spark-env spark-up spark-down spark-compare

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

# The stamp carries what was installed: a changed lock or pyproject installs again, nothing else does.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Customer Pulse needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (about a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

env: $(READY)  ## create the environment

# What `PULSE_TARGET=spark` needs beside it: PySpark, 455 MB, and dbt's adapter.
$(READY)-spark: $(READY) requirements-spark.txt
	@echo "Installing PySpark into $(VENV) (455 MB, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.txt
	@touch $(READY)-spark

spark-env: $(READY)-spark  ## add what PULSE_TARGET=spark needs

spark-up: spark-env  ## start Spark on this machine; CLUSTER=1: with two workers
	@$(BIN)/pulse spark up $(if $(CLUSTER),--cluster)

spark-down: $(READY)  ## end it
	@$(BIN)/pulse spark down

spark-compare: spark-env  ## build worlds on DuckDB and on both Sparks, and compare every row; takes long
	@$(BIN)/python -m tests.spark.worlds

run: $(READY)  ## refresh everything into data/ and print the summary
	@$(BIN)/pulse run

ui: $(READY)  ## open the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/pulse ui

dbt: $(READY)  ## raw if absent, then plain `dbt build`, then publish
	@$(BIN)/pulse raw --if-absent
	@cd dbt_project && ../$(BIN)/dbt build
	@$(BIN)/pulse publish

test: $(READY)  ## the tests, under 10 minutes on 2 cores
	@$(BIN)/python -m pytest

faults: $(READY)  ## every kind of fault at every place, about an hour
	@$(BIN)/python -m tests.faults.matrix

lint: lint-python lint-sql  ## ruff, mypy, sqlfluff

lint-python: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lint-sql: $(READY)
	@cd dbt_project && ../$(BIN)/sqlfluff lint --disable-progress-bar --processes 0 models

lock: $(READY)  ## compile requirements.txt and requirements-spark.txt anew (needs uv)
	@uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-annotate --no-emit-index-url \
		--python-version 3.11 --extra dev --extra postgres --custom-compile-command 'make lock' pyproject.toml -o requirements.txt
	@uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-annotate --no-emit-index-url \
		--python-version 3.11 --extra spark --constraint requirements.txt --custom-compile-command 'make lock' pyproject.toml \
		-o requirements-spark.txt
