"""The bundle as a model.tar.gz, where the platform hands it over packed; unpacked without trust."""

import tarfile
import zlib
from pathlib import Path
from typing import Final

from training.failure import JobError
from training.paths import MlPaths

CHANNEL: Final = "model"

FREE_BYTES: Final = 256 << 20
"""An archive may unpack to so much, however small it is,"""
MOST_TIMES: Final = 100
"""and beyond that to so many times its own size: a bundle is far from it, a bomb is beyond it at once."""


def unpack_model(paths: MlPaths) -> None:
    """Fill `model/` from the one file of the channel `model`, if there is that channel. Raises as unpack_channel."""
    folder = paths.channel(CHANNEL)
    if folder.is_dir():
        unpack_channel(folder, paths.model)


def unpack_channel(channel: Path, folder: Path) -> None:
    """Fill `folder` from the one file of a channel.

    Raises:
        JobError: the channel holds no or several files, or the archive is broken, unpacks to far more than its own
            size, holds anything but files and folders, or leads out of the folder.
    """
    files = [each for each in channel.iterdir() if each.is_file()] if channel.is_dir() else []
    if len(files) != 1:
        raise JobError(f"input/data/{channel.name} holds {len(files)} files; it must hold exactly one model.tar.gz.")
    try:
        _unpack(files[0], folder)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise JobError(f"The model archive cannot be unpacked: {error}.") from error


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    left = max(FREE_BYTES, MOST_TIMES * archive.stat().st_size)
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            left -= member.size
            if left < 0:
                raise JobError("The model archive cannot be unpacked: it holds far more than its size allows.")
            if not (member.isfile() or member.isdir()):
                raise JobError(f"The model archive cannot be unpacked: {member.name!r} is no plain file.")
            # The data filter refuses paths that lead out of the folder.
            tar.extract(member, folder, filter="data")
