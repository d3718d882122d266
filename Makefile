# `make demo` and `make test` work on a fresh machine with Python 3.10+ and its venv module.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

ifdef ROS_DISTRO
$(error ROS 2 $(ROS_DISTRO) is sourced: build with colcon (see README.md, "With ROS 2"), or use a shell without it)
endif

.PHONY: help setup demo test lint clean
help:
	@echo "make setup   create $(VENV) and install everything into it"
	@echo "make demo    a simulated robot maps a room, is carried away and finds itself: out/demo"
	@echo "make test    static checks and all tests"
	@echo "make clean   remove $(VENV) and out"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml setup.py constraints.txt embedded_ros/pyproject.toml
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python3-venv is needed: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt \
	  --config-settings editable_mode=compat -e '.[extras,dev]' -e ./embedded_ros
	@touch $@

demo: setup
	@mkdir -p out/demo && rm -f out/demo/report.json
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ros2 launch ace_ros demo.launch.py output_dir:=$(CURDIR)/out/demo
	@$(BIN)/python -m ace_ros.evaluation.demo_report out/demo/report.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest
	cd embedded_ros && $(CURDIR)/$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) out
