"""Fills a job's /opt/ml from the object store and brings its outputs back. Inputs are hard links, not copies."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from mlops_api.domain.errors import Invalid, NotFound
from mlops_api.ports import ObjectStore

_MAX_NAME = 128


class LocalObjects(ObjectStore, Protocol):
    """An object store on this machine's disk."""

    def local_path(self, key: str) -> Path:
        """The file that holds the object; it is never changed in place. Raises NotFound."""


def write_config(ml: Path, name: str, data: Mapping[str, Any]) -> None:
    """input/config/{name}.json"""
    folder = ml / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data))


def fill_channel(objects: LocalObjects, prefix: str, folder: Path) -> None:
    """Every object below `prefix`, under its name there. Raises NotFound when there is none."""
    keys = list(_keys(objects, prefix))
    if not keys:
        raise NotFound(f"There is no object below {prefix}; the input of this job is gone.")
    for key in keys:
        name = key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]
        link(objects.local_path(key), folder / name)


def link(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system cannot. No error when done before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, target)


def fresh_folder(folder: Path) -> Path:
    """`folder`, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def safe_name(filename: str) -> str:
    """A client's file name as one harmless path segment; its ending stays, because it may tell the format."""
    kept = "".join(char if char.isalnum() or char in "._-" else "_" for char in filename.rpartition("/")[2])
    return kept.lstrip(".")[-_MAX_NAME:] or "file"


def store(objects: ObjectStore, key: str, path: Path) -> None:
    """Put an output file, unless that was done before a crash, when the store may have moved it away.

    Raises Invalid when the program did not write the file.
    """
    if path.is_file():
        objects.put_file(key, path)
    elif not exists(objects, key):
        raise Invalid(f"The program ended without an error but did not write {path.name}; see its log.")


def exists(objects: ObjectStore, key: str) -> bool:
    try:
        objects.info(key)
    except NotFound:
        return False
    return True


def _keys(objects: ObjectStore, prefix: str) -> Iterator[str]:
    # With its slash, `flights/1` does not take in `flights/10`.
    folder = prefix if prefix.endswith("/") else prefix + "/"
    token: str | None = None
    while True:
        page = objects.list(folder, token=token)
        yield from (each.key for each in page.objects)
        token = page.next_token
        if token is None:
            return
