"""The bundle as a model.tar.gz, where the platform hands it over packed; unpacked without trust."""

import tarfile
import zlib
from pathlib import Path
from typing import Final

from training.failure import JobError
from training.paths import MlPaths

CHANNEL: Final = "model"


def unpack_model(paths: MlPaths) -> None:
    """Fill `model/` from the one file of the channel `model`, if there is that channel.

    Raises:
        JobError: the channel holds no or several files, or the archive is broken or leads out of the folder.
    """
    folder = paths.channel(CHANNEL)
    if not folder.is_dir():
        return
    files = [each for each in folder.iterdir() if each.is_file()]
    if len(files) != 1:
        raise JobError(f"input/data/{CHANNEL} holds {len(files)} files; it must hold exactly one model.tar.gz.")
    _unpack(files[0], paths.model)


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            # The data filter refuses links and paths that lead out of the folder.
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise JobError(f"The model archive cannot be unpacked: {error}.") from error
