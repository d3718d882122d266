#!/usr/bin/env bash
# Pin requirements.in and all that it needs by version and hash: bash ros_wheels/lock.sh (needs pip-tools).
#
# Left out are what the environment has anyway, the linters that meta packages draw in, and the bootstrapper,
# which starts every Python a second time.
set -euo pipefail
cd "$(dirname "$0")"
left_out='^(numpy|pyyaml|setuptools|ros-wheels-bootstrapper|ros-ament-cmake-.*)=='
{
  echo "# Made by lock.sh from requirements.in."
  pip-compile --quiet --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
    --allow-unsafe --output-file - requirements.in |
    awk -v left_out="$left_out" '/^[a-z]/ { keep = $0 !~ left_out } /^ / || /^[a-z]/ { if (keep) print }'
} > requirements.new
mv requirements.new requirements.txt
