# SPDX-License-Identifier: Apache-2.0
"""Safetensors files with a typed header: the one format that users exchange.

Nothing in such a file is ever executed: a header of plain strings, then raw numbers. Writing is
atomic, so a reader never meets half a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ace_ros.errors import MapError
from ace_ros.files.limits import MAX_TENSOR_FILE_BYTES, MAX_TENSOR_HEADER_BYTES
from ace_ros.files.outside import open_plain, refuse_holes, refusing
from ace_ros.files.whole import remove_leftovers, write_atomically

# What our files hold; others, such as bfloat16, NumPy does not know.
TYPES = (torch.float16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.int64)


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
    with refusing(MapError, path, f"damaged or truncated {kind}"), safe_open(path, "pt") as file:
        names = [name for name in file.keys() if wanted(name)]  # noqa: SIM118
        # Copies, because the file may change under what is mapped into memory.
        return {name: checked_type(path, name, file.get_tensor(name)).clone() for name in names}, header


def checked_type(path: Path, name: str, tensor: Tensor) -> Tensor:
    """Return a tensor of a file. Raises MapError where its type is none that our files have."""
    if tensor.dtype not in TYPES:
        expected = ", ".join(str(kind).removeprefix("torch.") for kind in TYPES)
        raise MapError(f"{path}: {name[:80]} is of type {tensor.dtype}, expected one of {expected}")
    return tensor


def read_header(path: Path, kind: str, version: int) -> dict[str, str]:
    """Return the header of a tensor file after checking its kind and version; no weights are read."""
    header = _metadata(path, kind)
    if header.get("format") != kind:
        found = header.get("format", "a safetensors file of another program")
        raise MapError(f"{path}: expected an {kind} file, found {found[:80]}")
    found_version = header.get("format_version", "")
    if found_version not in map(str, range(1, version + 1)):
        raise MapError(
            f"{path}: written in format version {found_version[:20]!r}, this ace_ros reads up to {version}"
        )
    return header


def _metadata(path: Path, kind: str) -> dict[str, str]:
    """Return the strings in a safetensors file's header, none where it has none."""
    with open_plain(path, MapError) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_TENSOR_FILE_BYTES:
            raise MapError(
                f"{path}: not an {kind} file ({size} bytes, at most {MAX_TENSOR_FILE_BYTES} are read)"
            )
        header_size = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= header_size <= min(size - 8, MAX_TENSOR_HEADER_BYTES):
            raise MapError(f"{path}: not an {kind} file, or truncated ({size} bytes)")
        refuse_holes(path, file, MapError)
    what = f"not an {kind} file, or truncated ({size} bytes)"
    with refusing(MapError, path, what), safe_open(path, "pt") as opened:
        return opened.metadata() or {}
