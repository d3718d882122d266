# SPDX-License-Identifier: Apache-2.0
"""Damage to small valid files: bytes, numbers and structure, each from a random generator alone."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

# Texts that stand for themselves in JSON, where `json.dumps` would write something else.
RAW = {
    "@1e400": "1e400", "@digits": "9" * 5000, "@deep": "[" * 3000 + "]" * 3000,
    "@objects": '{"a":' * 500 + "1" + "}" * 500, "@40": "[" * 40 + "]" * 40, "@nan": "NaN",
    "@minus": "-Infinity", "@hex": "0x10",
}  # fmt: skip
NUMBERS: list[Any] = [
    -1, 0, 1, 2, 3, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63),
    10**20, 0.5, 2.0, -0.0, 1e-320, 1e38, 1e300, -1e308,
]  # fmt: skip
TEXTS = [
    "", " ", ".", "..", "../secret.png", "/etc/passwd", "a/../../secret.png", "a\nb", "a\0b", "x" * 300,
    "x" * 70_000, "\ud800", "１２", "1_000", "0x10", "nan", "inf", "-1.#IND", "1e400", "9" * 5000, "~",
    "\x1b[2J", "FULL_OPENCV", "lite", "secret.pt", "map",
]  # fmt: skip
VALUES: list[Any] = [None, True, False, [], {}, [[]], [None], {"": 0}, [1, 2, 3], *RAW, *NUMBERS, *TEXTS]
WORDS = [*(str(n) for n in NUMBERS), *TEXTS, "9" * 100_000, "1e999", "-inf", "+", "1.", ".5", "#", "1,2"]
_LETTERS = "abcdefgh"
# Each name stands for nine of the one before.
ALIASES = "a: &a [0]\n" + "".join(
    f"{name}: &{name} [{','.join(9 * [f'*{before}'])}]\n" for before, name in pairwise(_LETTERS)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{','.join(9 * [f'*{before}'])}]}}\n" for before, name in pairwise(_LETTERS)
)
YAML = [
    ALIASES, MERGES, "&a [*a]", "? [a, b]\n: c\n", "!!python/object/apply:os.system ['touch executed']",
    "2001-13-45", "1:99:99", "!!binary '%'", "!!set {a, b}", "!!int 'x'", "'", "[" * 2000, "- " * 3000,
    "a: b: c", "\t", "%YAML 9.9\n---\n", "--- 1\n--- 2\n", "<<: 1", ".nan", "-.inf", "0b" + "1" * 5000, "~",
]  # fmt: skip


def mutate(random: Random, name: str, data: bytes) -> bytes:
    """Return the contents of a file, damaged in one to three ways; what fits depends on its name."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        ways = [_bytes, _words] if is_text(name) else [_bytes, _binary_numbers]
        structured = next((way for ending, way in STRUCTURED.items() if name.endswith(ending)), None)
        if structured and random.random() < 0.7:
            ways = [structured]
        data = random.choice(ways)(random, data)
    return data


def is_text(name: str) -> bool:
    """Return whether a file of this name holds text."""
    return name.endswith((".txt", ".json", ".jsonl", ".yaml", ".nvm"))


def _bytes(random: Random, data: bytes) -> bytes:
    """Flip, cut, repeat, insert or splice bytes."""
    at, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    way = random.randrange(7)
    if way == 0:
        return data[:at]
    if way == 1:
        return data[:at] + data[end:]
    if way == 2:
        return data[:at] + data[at:end][:5000] * random.choice((2, 3, 50)) + data[end:]
    if way == 3:
        return data[:at] + random.randbytes(random.choice((1, 4, 40))) + data[at:]
    if way == 4:
        return (
            data[:at]
            + random.choice((b"\0", b"\xff", b"\n", b" ")) * random.choice((1, 8, 5000))
            + data[end:]
        )
    if way == 5 and data:
        other = random.randrange(len(data))
        return data[:at] + data[other : other + end - at] + data[end:]
    changed = bytearray(data)
    for _ in range(min(len(changed), random.choice((1, 2, 8, 50)))):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _binary_numbers(random: Random, data: bytes) -> bytes:
    """Write an extreme number over bytes somewhere, often near the beginning, where counts are."""
    layout = random.choice(("<i", "<q", "<Q", "<I", "<H", "<d", "<f", ">I"))
    size = struct.calcsize(layout)
    at = random.randrange(random.choice((64, 1000, len(data) + 1)))
    fits = [n for n in NUMBERS if layout[1] in "df" or isinstance(n, int)]
    number: Any = random.choice([*fits, float("nan"), float("inf")] if layout[1] in "df" else fits)
    if layout[1] in "df":
        number = max(-3e38, min(3e38, number)) if layout[1] == "f" else number
        return data[:at] + struct.pack(layout, number) + data[at + size :]
    return data[:at] + (int(number) % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]


def _words(random: Random, data: bytes) -> bytes:
    """Replace, remove, repeat or swap words and lines of a text."""
    if random.random() < 0.3:
        lines = data.splitlines(keepends=True) or [b""]
        i, j = (random.randrange(len(lines)) for _ in range(2))
        way = random.randrange(4)
        if way == 0:
            del lines[i]
        elif way == 1:
            lines.insert(j, lines[i])
        elif way == 2:
            lines[i], lines[j] = lines[j], lines[i]
        else:
            lines[i] = lines[i].replace(b"\n", b"")
        return b"".join(lines)
    found = list(re.finditer(rb"[^\s,\[\]{}:=\"]+", data))
    if not found:
        return random.choice(WORDS).encode(errors="surrogatepass")
    word = random.choice(found)
    replacement = random.choice(WORDS).encode(errors="surrogatepass")
    return data[: word.start()] + replacement + data[word.end() :]


def change_value(random: Random, value: Any) -> Any:
    """Return a JSON value with a part of it replaced, removed, renamed, repeated or moved."""
    holders: list[Any] = []
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, (dict, list)) and part:
            holders.append(part)
            pending += part.values() if isinstance(part, dict) else part
    if not holders or random.random() < 0.05:
        return random.choice(VALUES)
    holder = random.choice(holders)
    key = random.choice(list(holder)) if isinstance(holder, dict) else random.randrange(len(holder))
    way = random.randrange(6)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[random.choice([*TEXTS, "data", "missing"])] = holder.pop(key)
    elif way == 2 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif way == 3:
        holder[key] = {"[]": [holder[key]], "{}": {"x": holder[key]}}[random.choice(("[]", "{}"))]
    elif way == 4 and isinstance(holder[key], (int, float)):
        holder[key] = random.choice(
            (str(holder[key]), holder[key] * 1000, -holder[key], float(holder[key]) + 0.5)
        )
    else:
        holder[key] = random.choice(VALUES)
    return value


def json_bytes(random: Random, value: Any) -> bytes:
    """Return a value as JSON, with texts of RAW for themselves, and now and then a key twice."""
    text = json.dumps(value)
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    if random.random() < 0.03:
        text = re.sub(r'\{("[^"]*":)', r"{\1 0, \1", text, count=1)
    return text.encode()


def _json(random: Random, data: bytes) -> bytes:
    try:
        return json_bytes(random, change_value(random, json.loads(data)))
    except (ValueError, RecursionError):
        return _bytes(random, data)


def _json_lines(random: Random, data: bytes) -> bytes:
    lines = data.splitlines() or [b"{}"]
    i = random.randrange(len(lines))
    lines[i] = _json(random, lines[i])
    return b"\n".join(lines) + b"\n"


def _yaml(random: Random, data: bytes) -> bytes:
    import yaml

    if random.random() < 0.2:
        addition = random.choice(YAML).encode()
        return random.choice((addition, addition + b"\n" + data, data + b"\n" + addition))
    if random.random() < 0.3:
        return re.sub(rb":[^:\n]*$", b": " + random.choice(YAML).encode().replace(b"\\", b""), data, count=1)
    if b"*" in data:  # an alias, which PyYAML lets grow without a limit
        return _bytes(random, data)
    try:
        return json_bytes(random, change_value(random, yaml.safe_load(data)))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return _bytes(random, data)


def _tensors(random: Random, data: bytes) -> bytes:
    """Change the header of a safetensors file, also inside the JSON that its strings hold."""
    try:
        length = int.from_bytes(data[:8], "little")
        header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
        strings = header.get("__metadata__", {})
        inner = [key for key, text in strings.items() if text.startswith("{")]
        if inner and random.random() < 0.7:
            key = random.choice(inner)
            strings[key] = json_bytes(random, change_value(random, json.loads(strings[key]))).decode()
        else:
            header = change_value(random, header)
        new = json_bytes(random, header)
        return len(new).to_bytes(8, "little") + new + rest
    except (ValueError, AttributeError, RecursionError, OverflowError, MemoryError):
        return _bytes(random, data)


def _archive(random: Random, data: bytes) -> bytes:
    """Change a part of a zip archive, its name or its compression, and leave the archive whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return _bytes(random, data)
    name = random.choice([n for n in parts if n.endswith("data.pkl")] or list(parts) or ["x"])
    if random.random() < 0.1:
        name = random.choice(list(parts))
    changed = _bytes(random, parts.get(name, b""))
    if random.random() < 0.1:
        changed = bytes(random.choice((100, 50_000_000)))
    new_name = (
        random.choice(("../../secret.png", "/secret", "archive/data/99")) if random.random() < 0.1 else name
    )
    compression = zipfile.ZIP_DEFLATED if random.random() < 0.1 else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for part, contents in parts.items():
            archive.writestr(new_name if part == name else part, changed if part == name else contents)
    return buffer.getvalue()


STRUCTURED: dict[str, Callable[[Random, bytes], bytes]] = {
    ".json": _json, ".jsonl": _json_lines, ".yaml": _yaml, ".safetensors": _tensors, ".index": _tensors,
    ".pt": _archive,
}  # fmt: skip
