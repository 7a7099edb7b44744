"""Where the server is: an argument, else the environment, else the file a running server leaves in its data folder."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mlops_api.client.errors import Unreachable
from mlops_api.domain.defaults import DEFAULT_DATA_DIR, SERVER_FILE


@dataclass(frozen=True)
class Location:
    url: str
    token: str | None
    pid: int | None = None
    """Of the server's process, where its file told."""


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The argument, else MLOPS_DATA_DIR, else ./mlops-data."""
    return Path(data_dir or os.environ.get("MLOPS_DATA_DIR") or DEFAULT_DATA_DIR)


def locate(
    url: str | None = None, token: str | None = None, data_dir: str | os.PathLike[str] | None = None
) -> Location:
    """Raises Unreachable when nothing says where a server is, or the URL is none.

    The file's token is used only for the file's own address: it is no other server's business.
    """
    told_by = "the address" if url else "MLOPS_URL"
    # A data folder that was named outranks an address that merely lies in the environment.
    url = url or (None if data_dir else os.environ.get("MLOPS_URL"))
    token = token or (None if data_dir else os.environ.get("MLOPS_TOKEN"))
    if url:
        _check_url(url, told_by)
    if url and token:
        return Location(url.rstrip("/"), token)
    found = _server_file(data_folder(data_dir))
    if url is None:
        if found is None:
            raise Unreachable(_not_found(data_folder(data_dir)))
        return Location(found.url, token or found.token, found.pid)
    url = url.rstrip("/")
    return Location(url, token or (found.token if found is not None and found.url == url else None))


def _check_url(url: str, told_by: str) -> None:
    parts = urlsplit(url)
    try:
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        valid = False
    if not valid:
        raise Unreachable(f"{told_by} {url!r} is not a valid URL. Write one such as http://127.0.0.1:8000.")


def _server_file(folder: Path) -> Location | None:
    try:
        content = json.loads((folder / SERVER_FILE).read_text())
        return Location(str(content["url"]).rstrip("/"), content.get("token"), content.get("pid"))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise Unreachable(
            f"{folder / SERVER_FILE} cannot be read ({error}). Start the server again: mlops up"
        ) from error


def _not_found(folder: Path) -> str:
    return (
        f"No server is known: {folder / SERVER_FILE} does not exist. Start one with `mlops up`, "
        "name its data folder (--data-dir, MLOPS_DATA_DIR) or its address (--url, MLOPS_URL)."
    )
