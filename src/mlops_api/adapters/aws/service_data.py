"""botocore's descriptions of AWS's services, read as fast as they can be: half of what a client costs a cold start.

botocore's own loader opens the folder of each of its 400 services to learn which there are, and parses with a pure
Python hook for every object.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from botocore.loaders import JSONFileLoader, Loader


class _Files(JSONFileLoader):  # type: ignore[misc] # botocore says no types
    def _load_file(self, full_path: str, open_method: Callable[[str, str], BinaryIO]) -> Any:
        """None: there is no such file."""
        try:
            with open_method(full_path, "rb") as file:
                return orjson.loads(file.read())
        except FileNotFoundError:
            return None


class ServiceData(Loader):  # type: ignore[misc]
    """As its base, but that a service counts as known if there is a folder of its name."""

    FILE_LOADER_CLASS = _Files

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - the base class's signature
        folders = [folder for folder in map(Path, self.search_paths) if folder.is_dir()]
        return sorted({entry.name for folder in folders for entry in folder.iterdir()})
