# One verb per thing to do; `make` alone lists them. A machine needs Python 3.11 or 3.12 and its package registry.
#
#   VENV=DIR     another place for the virtual environment (default .venv)
#   PYTHON=EXE   the interpreter to make it with (default: the first of python3, python3.12, python3.11 that fits)
#   ARGS=...     more arguments for pytest (test, soak, spark), the benchmarks (bench) or uv (lock)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo ui docs test soak spark lint type bench lock clean

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BOOTSTRAPPED := $(VENV)/.bootstrapped
UV := $(BIN)/uv pip
PYTHONS := $(or $(PYTHON),python3 python3.12 python3.11)
# One set of versions for both Pythons, no addresses in the files.
COMPILE := $(UV) compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-strip-extras \
	--no-emit-index-url --custom-compile-command "make lock" $(ARGS)
FITS := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
CODE := eventpipe eventpipe_tests benchmarks
DEMO := demo

# No tool that is run from here reports to its maker. Dagster has no variable for it: dagster.yaml.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DO_NOT_TRACK := 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv: eventpipe and its tools, at the locked versions

demo: $(INSTALLED) ## make ./demo anew: sample exports, one run, two questions to the tables
	rm -rf $(DEMO)
	$(BIN)/eventpipe init $(DEMO)
	$(BIN)/eventpipe sample --events 20000 --seed 7 --out $(DEMO)/exports
	$(BIN)/eventpipe run --project $(DEMO) --as-of 2026-02-01
	$(BIN)/eventpipe status --project $(DEMO)
	@printf '\nWhat did people do?\n'
	$(BIN)/eventpipe query --project $(DEMO) "\
		select event_name, count(*) as events, count(distinct contact_id) as contacts \
		from contact_timeline \
		where entry_type = 'event' \
		group by event_name \
		order by events desc, event_name"
	@printf '\nWho are the best customers in each currency, refunds taken off?\n'
	$(BIN)/eventpipe query --project $(DEMO) "\
		select currency, coalesce(customer_id, email, phone) as customer, sum(order_count) as orders, \
			sum(value_sum) as net_value, max(last_at) as last_at \
		from contact_goals join contacts using (workspace_id, contact_id) \
		where goal_type = 'purchase' \
		group by currency, customer \
		qualify row_number() over (partition by currency order by net_value desc) <= 3 \
		order by currency, net_value desc"

ui: $(INSTALLED) ## the Dagster UI on ./demo, which `make demo` makes
	$(BIN)/eventpipe ui --project $(DEMO)

docs: $(INSTALLED) ## write docs/tables.md from ./demo, which `make demo` makes
	$(BIN)/python -m eventpipe.serving.reference $(DEMO)/analytics.duckdb > docs/tables.md

# In the order of the folders: those of `unit`, which take no time, come last and fill both cores to the end.
test: $(INSTALLED) ## the tests, warnings as errors
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(INSTALLED) ## the long random histories that `make test` leaves out
	$(BIN)/pytest -n 2 --dist loadfile -m soak $(ARGS)

spark: $(INSTALLED) ## the tests on Apache Spark, which needs Java 17 or 21; installs its package first
	$(UV) install --quiet --python $(BIN)/python --require-hashes --requirement requirements/spark.txt
	$(BIN)/pytest -n 2 --dist loadfile -m "spark and not soak" $(ARGS)

lint: $(INSTALLED) ## ruff on the Python, sqlfluff on the dbt models
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	EVENTPIPE_WAREHOUSE_FILE=:memory: $(BIN)/sqlfluff lint dbt_project

type: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy $(CODE)

bench: $(INSTALLED) ## time eventpipe against plain scripts, on 10 million events
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(BOOTSTRAPPED) ## write requirements/ from pyproject.toml; ARGS=--upgrade takes newer versions
	echo uv | $(COMPILE) - --output-file requirements/uv.txt
	$(COMPILE) pyproject.toml --extra postgres --extra dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra postgres --constraints requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra spark --constraints requirements/dev.txt --output-file requirements/spark.txt
	echo hatchling | $(COMPILE) - --constraints requirements/dev.txt --output-file requirements/build.txt

clean: ## remove the demo, builds and caches; the virtual environment stays
	rm -rf $(DEMO) build dist .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .tmp_dagster_home_*
	rm -rf logs dbt_project/target dbt_project/logs
	find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment that works and fits is kept; --clear only ever empties what is one.
$(BOOTSTRAPPED): requirements/uv.txt
	@if ! $(BIN)/python -c '$(FITS)' 2>/dev/null; then \
		for python in $(PYTHONS) none; do \
			if "$$python" -c '$(FITS)' 2>/dev/null; then break; fi; \
		done; \
		if [ "$$python" = none ]; then \
			echo "eventpipe needs Python 3.11 or 3.12 with its modules venv and pip; none among: $(PYTHONS)." >&2; \
			echo "Install one (Debian and Ubuntu keep the modules in a package of their own, python3-venv)," >&2; \
			echo "or say where it is: make install PYTHON=/path/to/python3.12" >&2; \
			exit 1; \
		fi; \
		echo "$$python -m venv $(VENV)"; \
		if [ -e $(VENV)/pyvenv.cfg ]; then clear=--clear; fi; \
		"$$python" -m venv $$clear $(VENV); \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@touch $@

# Compiled once here: where Python may not write beside its sources, every process would compile thousands of modules anew.
$(INSTALLED): $(BOOTSTRAPPED) pyproject.toml requirements/dev.txt
	$(UV) sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
