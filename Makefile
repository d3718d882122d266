# `make demo` and `make test` work on a fresh machine with Python 3.10+ and its venv module.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

ifdef ROS_DISTRO
# A sourced ROS 2 brings rclpy, launch and the ros2 command; the embedded runtime stays out.
# Built by colcon beforehand, see README.md.
VENV_OPTIONS := --system-site-packages
RUNTIME :=
RUNTIME_TESTS := true
ROS2 := ros2
else
VENV_OPTIONS :=
RUNTIME := -e ./embedded_ros
RUNTIME_TESTS := cd embedded_ros && $(CURDIR)/$(BIN)/python -m pytest
ROS2 := $(BIN)/ros2
endif

.PHONY: help setup demo test lint clean
help:
	@echo "make setup   create $(VENV) and install everything into it"
	@echo "make demo    a simulated robot maps a room, is carried away and finds itself: out/demo"
	@echo "make test    static checks and all tests"
	@echo "make clean   remove $(VENV) and out"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml setup.py constraints.txt embedded_ros/pyproject.toml
	@$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV) || \
	  { echo "python3-venv is needed: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt \
	  --config-settings editable_mode=compat -e '.[extras,dev]' $(RUNTIME)
	@touch $@

demo: setup
	@mkdir -p out/demo && rm -f out/demo/report.json
	PATH="$(CURDIR)/$(BIN):$$PATH" $(ROS2) launch ace_ros demo.launch.py output_dir:=$(CURDIR)/out/demo
	@$(BIN)/python -m ace_ros.demo_report out/demo/report.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest
	$(RUNTIME_TESTS)

clean:
	rm -rf $(VENV) out
