#!/usr/bin/env bash
# Run a command in the workspace that was built into the image.
set -e
# shellcheck disable=SC1091
source /opt/ace_ws/install/setup.bash
exec "$@"
