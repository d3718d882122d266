# SPDX-License-Identifier: Apache-2.0
"""Safetensors files with a typed header: the one format that users exchange.

Nothing in such a file is ever executed: a header of plain strings, then raw numbers. Writing is
atomic, so a reader never meets half a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ace_ros.errors import MapError
from ace_ros.files.whole import remove_leftovers, write_atomically

MAX_FILE_BYTES = 1 << 31  # larger than any ensemble; a limit against hostile or mistaken files


def write_tensor_file(
    path: Path, tensors: dict[str, Tensor], kind: str, version: int, header: dict[str, str]
) -> None:
    """Write tensors and header strings to `path` in one step: complete, or not at all.

    What dead writers left in its folder is removed. Raises OSError when the disk is full or the folder
    cannot be written; an older file of that name is then still whole.
    """
    remove_leftovers(path.parent)
    metadata = {"format": kind, "format_version": str(version), **header}
    data = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata)
    write_atomically(path, data)


def read_tensor_file(
    path: Path, kind: str, version: int, wanted: Callable[[str], bool] = lambda name: True
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return (tensors, header) of a file that `write_tensor_file` wrote.

    Only tensors whose names are `wanted` are read. Raises MapError with one sentence when the file
    is missing, foreign, truncated or newer.
    """
    header = read_header(path, kind, version)
    try:
        with safe_open(path, "pt") as file:
            # Copies, because the file may change under what is mapped into memory.
            return {k: file.get_tensor(k).clone() for k in file.keys() if wanted(k)}, header  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MapError(f"{path}: damaged or truncated {kind}: {error}") from error


def read_header(path: Path, kind: str, version: int) -> dict[str, str]:
    """Return the header of a tensor file after checking its kind and version; no weights are read."""
    header = _metadata(path, kind)
    if header.get("format") != kind:
        found = header.get("format", "a safetensors file of another program")
        raise MapError(f"{path}: expected an {kind} file, found {found}")
    found_version = header.get("format_version", "")
    if not found_version.isdecimal() or not 1 <= int(found_version) <= version:
        raise MapError(
            f"{path}: written in format version {found_version!r}, this ace_ros reads up to {version}"
        )
    return header


def _metadata(path: Path, kind: str) -> dict[str, str]:
    """Return the strings in a safetensors file's header, none where it has none."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise MapError(f"{path}: not an {kind} file ({size} bytes, at most {MAX_FILE_BYTES} are read)")
        with safe_open(path, "pt") as opened:
            return opened.metadata() or {}
    except SafetensorError as error:
        raise MapError(f"{path}: not an {kind} file, or truncated ({size} bytes): {error}") from error
    except OSError as error:
        raise MapError(f"{path}: cannot be read: {error.strerror or error}") from error
