# `make demo` and `make test` work on a fresh machine with Python 3.10+ and its venv module.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Prefixes of other environments that `make setup` made are no sourced ROS 2: they end in .venv/ros.
ifneq ($(filter-out %/.venv/ros $(abspath $(VENV))/ros,$(subst :, ,$(AMENT_PREFIX_PATH))),)
$(error ROS 2 $(ROS_DISTRO) is sourced: build with colcon (docs/install.md), or use a shell without it)
endif

# An environment whose Python is gone is made anew.
ifeq ($(wildcard $(BIN)/python),)
$(shell rm -f $(INSTALLED))
endif

.PHONY: help setup demo test test-all fuzz lint docs clean
help:
	@echo "make setup     create $(VENV) and install everything into it, a real ROS 2 included"
	@echo "make demo      a simulated robot maps a room, is carried away and finds itself: out/demo"
	@echo "make test      static checks and the tests of five minutes: needs no network and no GPU"
	@echo "make test-all  what make test leaves out: training, the demo, real scenes, stand-ins; coverage of both"
	@echo "make fuzz      damage every file and message that is read (SECONDS= for each TARGET=, SEED=, COUNT=)"
	@echo "make docs      the documentation as a site, links checked: site/index.html"
	@echo "make clean     remove $(VENV), out and site"

# make_prefix.py ends with 3 where this machine can have no ROS 2: it has said so, the rest works.
setup: $(INSTALLED)
	@$(BIN)/python ros_wheels/make_prefix.py || [ $$? -eq 3 ]

$(INSTALLED): pyproject.toml setup.py constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "Python's venv module is needed: apt install python3-venv, then make setup"; exit 1; }
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt \
	  --config-settings editable_mode=compat -e '.[extras,dev]'
	@touch $@

demo: setup
	@mkdir -p out/demo && rm -f out/demo/report.json
	@$(BIN)/python -c "import rclpy" || { echo "the demo needs ROS 2, see above"; exit 1; }
	$(BIN)/ros2 launch ace_ros demo.launch.py "output_dir:=$(CURDIR)/out/demo"
	@$(BIN)/python -m ace_ros.evaluation.demo_report out/demo/report.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(INSTALLED)
	@$(BIN)/python -c "import material" 2>/dev/null || $(BIN)/python -m pip install --quiet -c constraints.txt \
	  --config-settings editable_mode=compat -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Two processes with a thread each: the tests of a file stay together and share its nodes.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
# The floor (pyproject.toml) holds for both steps together.
COVERED := --cov --cov-report= --cov-fail-under=0

# A robot's clock does not wait for a busy machine: tests of nodes are not traced.
test: lint
	$(PYTEST) -m "not slow" $(COVERED) --ignore=test/nodes
	$(PYTEST) -m "not slow" test/nodes

test-all: setup
	$(PYTEST) -m slow $(COVERED) --cov-append --ignore=test/nodes
	$(BIN)/python -m pytest -m slow test/nodes
	$(BIN)/python -m pytest ros_standins/test
	@$(BIN)/coverage report --skip-covered --sort=cover

# Each reader in a process of its own: docs/reliability.md has what came of it.
SECONDS ?= 60
fuzz: setup
	OMP_NUM_THREADS=1 $(BIN)/python test/fuzz/campaign.py --seconds $(SECONDS) \
	  $(if $(TARGET),--target '$(TARGET)') $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT))

clean:
	rm -rf $(VENV) out site
