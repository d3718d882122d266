# SPDX-License-Identifier: Apache-2.0
"""The router through which sessions on this machine find each other.

Every process that uses ROS keeps watch: whoever can bind the port is the router, and when the
router's process ends, one of the others takes its place. Messages do not pass through the router,
sessions connect to each other directly.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import zenoh

DEFAULT_ENDPOINT = "tcp/127.0.0.1:7447"
RETRY_S = 0.5


def endpoint() -> str:
    """Return the router's endpoint: $EMBEDDED_ROS_ROUTER or loopback port 7447."""
    return os.environ.get("EMBEDDED_ROS_ROUTER", DEFAULT_ENDPOINT)


def make_config(mode: str, **settings: Any) -> zenoh.Config:
    """Return a zenoh configuration; `a__b=value` sets a/b."""
    config = zenoh.Config()
    config.insert_json5("mode", json.dumps(mode))
    config.insert_json5("scouting/multicast/enabled", "false")
    for key, value in settings.items():
        config.insert_json5(key.replace("__", "/"), json.dumps(value))
    return config


class Keeper:
    """Holds the router's place, or waits for it to become free."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._session: zenoh.Session | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def holds(self) -> bool:
        """Return whether the router is in this process."""
        return self._session is not None

    def start(self) -> None:
        """Take the place if it is free, else watch for it in the background."""
        if _port(self.place) is None or self._try_hold():
            return  # on another machine there is nothing to keep
        self._thread = threading.Thread(target=self._watch, name="ros_router", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give up the place."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _watch(self) -> None:
        # The spread keeps several waiting processes from trying at the same moment for ever.
        while not self._stop.wait(RETRY_S * random.uniform(0.5, 1.5)):
            if self._try_hold():
                return

    def _try_hold(self) -> bool:
        port = _port(self.place)
        if port is None or not _is_free(port):
            return False
        try:
            self._session = zenoh.open(
                make_config("router", listen__endpoints=[self.place], scouting__delay=0)
            )
        except zenoh.ZError:
            return False  # somebody was faster
        return True


_keeper: Keeper | None = None
_lock = threading.Lock()


def keep() -> Keeper:
    """Make this process a candidate for the router until it ends; return its keeper."""
    global _keeper
    with _lock:
        if _keeper is None:
            _keeper = Keeper(endpoint())
            _keeper.start()
            atexit.register(_keeper.stop)
        return _keeper


@contextlib.contextmanager
def router() -> Iterator[None]:
    """Hold the router (or stand by if there is one) until the process ends."""
    keep()
    yield


def _port(place: str) -> int | None:
    """Return the port of a loopback endpoint, None for one on another machine."""
    host, _, port = place.removeprefix("tcp/").rpartition(":")
    return int(port) if host in ("127.0.0.1", "localhost") else None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def main() -> int:
    """Run as router until interrupted: `python -m embedded_ros.router`."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with router():
        state = "router at" if keep().holds else "standing by, there is a router at"
        print(f"{state} {endpoint()}", file=sys.stderr, flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    # Run the module under its own name, so that there is one keeper in the process.
    from embedded_ros import router as module

    sys.exit(module.main())
