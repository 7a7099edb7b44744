"""Unpacked model bundles, one folder per model.tar.gz, shared by the servers that load them."""

import hashlib
import secrets
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from mlops_api.adapters.local.durable import full_disk_refused, make_folder
from mlops_api.adapters.local.ml_layout import LocalObjects
from mlops_api.adapters.local.model_tar import unpack
from mlops_api.adapters.local.procs import boot_id


class ModelCache:
    def __init__(self, root: Path, objects: LocalObjects) -> None:
        self._root = root
        self._objects = objects
        self._lock = threading.Lock()

    def folder(self, model_key: str) -> Path:
        """The unpacked bundle. Raises NotFound, or Invalid for an archive that cannot be unpacked."""
        archive = self._objects.local_path(model_key)
        target = self._root / self._name(model_key)
        with self._lock:
            if not target.exists():
                self._unpack(archive, target)
        return target

    def keep_only(self, model_keys: Iterable[str]) -> None:
        """Drop every bundle but these, and what a crash left half unpacked."""
        with self._lock:
            kept = {self._name(key) for key in model_keys}
            for path in self._root.iterdir() if self._root.exists() else ():
                if path.name not in kept:
                    shutil.rmtree(path, ignore_errors=True)

    def _unpack(self, archive: Path, target: Path) -> None:
        make_folder(self._root, mode=0o700)
        half = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with full_disk_refused("the unpacked model"):
                unpack(archive, half)
            half.rename(target)
        finally:
            shutil.rmtree(half, ignore_errors=True)

    def _name(self, model_key: str) -> str:
        # Unpacked files are not synced, so they are trusted only within the boot that wrote them.
        return hashlib.sha256(f"{boot_id()} {model_key}".encode()).hexdigest()[:32]
