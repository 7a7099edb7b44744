"""Where an object lies below the store's folder, and the way back.

    key      Datasets/flights/1/raw.csv       and      Datasets/flights/1/raw.csv/index
    path     %44atasets+/flights+/1+/raw.csv           %44atasets+/flights+/1+/raw.csv+/index

A folder's name ends in `+`, so a key may be the prefix of another. Bytes outside a-z 0-9 . _ - are percent-encoded:
keys that differ in case stay apart on file systems that ignore it. A segment too long for a file name goes on
inside a folder whose name ends in `~`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

_FOLDER, _CONTINUED = "+", "~"
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")
_LONGEST_NAME = 240
_CHUNK_BYTES = _LONGEST_NAME // 3


def object_path(root: Path, key: str) -> Path:
    """The file of `key`, which object_keys.check_key has passed."""
    *folders, name = key.split("/")
    return _folder(root, folders).joinpath(*_names(name, ""))


def prefix_folder(root: Path, prefix: str) -> tuple[Path, bytes]:
    """The deepest folder that holds every key beginning with `prefix`, and the part of them that it stands for."""
    *folders, _ = prefix.split("/")
    return _folder(root, folders), b"".join(segment.encode() + b"/" for segment in folders)


def walk(folder: Path, base: bytes, prefix: bytes, behind: bytes) -> Iterator[tuple[str, Path]]:
    """(key, file) of the objects below `folder` whose key begins with `prefix` and is greater than `behind`, in
    byte order of keys. `base`: the part of the keys that `folder` stands for."""
    for entry in sorted(_entries(folder, base), key=lambda entry: entry.name):
        if entry.is_folder:
            related = entry.name.startswith(prefix) or prefix.startswith(entry.name)
            if related and (entry.name > behind or behind.startswith(entry.name)):
                yield from walk(entry.path, entry.name, prefix, behind)
        elif entry.name.startswith(prefix) and entry.name > behind:
            yield entry.name.decode(), entry.path


@dataclass(frozen=True)
class _Entry:
    """`name`: a whole key, or for a folder the beginning of its keys, slash included. So names sort as keys do."""

    name: bytes
    path: Path
    is_folder: bool


def _entries(folder: Path, base: bytes) -> Iterator[_Entry]:
    """What lies in `folder`; links and names that this store never makes are left out."""
    try:
        found = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for item in found:
        raw, ending = _decode(item.name)
        path = Path(item.path)
        if raw is None or item.is_symlink():
            continue
        if ending == _CONTINUED:
            yield from _entries(path, base + raw)
        else:
            yield _Entry(base + raw + (b"/" if ending else b""), path, is_folder=bool(ending))


def _decode(name: str) -> tuple[bytes | None, str]:
    """The bytes a name stands for (None: it is not one of _names), and its ending."""
    ending = name[-1] if name.endswith((_FOLDER, _CONTINUED)) else ""
    encoded = name.removesuffix(ending)
    raw = unquote_to_bytes(encoded.encode("ascii", errors="replace"))
    return (raw if _encode(raw) == encoded else None), ending


def _folder(root: Path, segments: list[str]) -> Path:
    return root.joinpath(*(name for segment in segments for name in _names(segment, _FOLDER)))


def _names(segment: str, ending: str) -> list[str]:
    """The file names that stand for one segment: one, unless it is very long."""
    raw = segment.encode()
    encoded = _encode(raw)
    if len(encoded) <= _LONGEST_NAME:
        return [encoded + ending]
    chunks = [_encode(raw[start : start + _CHUNK_BYTES]) for start in range(0, len(raw), _CHUNK_BYTES)]
    return [chunk + _CONTINUED for chunk in chunks[:-1]] + [chunks[-1] + ending]


def _encode(raw: bytes) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in raw)
