#!/usr/bin/env bash
# Pin what `make setup` installs by version and hash, for every Python and platform: make lock.
#
# Torch is left out, and what only its CUDA builds need: which of its files is right depends on the machine
# and on the index that pip is set up with. Of ROS, what the environment has anyway is left out, the linters
# that meta packages draw in, and the bootstrapper, which starts every Python a second time.
set -euo pipefail
cd "$(dirname "$0")"
uv=${UV:-uv}

lock() { # OUTPUT LEFT_OUT INPUT [OPTION...]
  local output=$1 left_out="^($2)=="
  {
    echo "# Made by lock.sh from $3."
    "$uv" pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header \
      "${@:3}" |
      awk -v left_out="$left_out" '/^[a-z]/ { keep = $0 !~ left_out } /^ / || /^[a-z]/ { if (keep) print }'
  } > "$output.new"
  mv "$output.new" "$output"
}

lock requirements.lock 'torch|triton|nvidia-.*|cuda-.*' pyproject.toml --extra extras --extra dev -c constraints.txt
lock ros_wheels/requirements.txt 'numpy|pyyaml|setuptools|ros-wheels-bootstrapper|ros-ament-cmake-.*' \
  ros_wheels/requirements.in
