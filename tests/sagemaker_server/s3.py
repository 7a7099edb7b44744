"""S3 to disk and back: channels, model archives, outputs, checkpoints."""

import os
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

_TRANSFER = TransferConfig(use_threads=False)


class TransferFailed(Exception):
    """What was to be read is not there, or cannot be laid out. The message is for a FailureReason."""


@dataclass(frozen=True)
class S3Uri:
    """s3://bucket/key"""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "S3Uri":
        """Raises TransferFailed for anything else."""
        scheme, _, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise TransferFailed(f"{text} is not an S3 URI")
        return cls(bucket, key)

    def below(self, *parts: str) -> "S3Uri":
        """This URI as a folder, and parts below it."""
        return S3Uri(self.bucket, "/".join([*([self.key.rstrip("/")] if self.key.strip("/") else []), *parts]))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Storage:
    """Transfers through one boto3 client, which threads may share."""

    client: Any

    def exists(self, uri: S3Uri) -> bool:
        """Whether there is an object of exactly this key."""
        try:
            self.client.head_object(Bucket=uri.bucket, Key=uri.key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def keys(self, uri: S3Uri) -> list[str]:
        """Keys that start with the URI's key, in byte order; none when there is no such bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=uri.bucket, Prefix=uri.key)
        try:
            return [each["Key"] for page in pages for each in page.get("Contents", ())]
        except self.client.exceptions.NoSuchBucket:
            return []

    def download_prefix(self, uri: S3Uri, folder: Path, *, shard: tuple[int, int] = (0, 1)) -> int:
        """Lay the objects below a prefix out in a folder; `shard` (i, n) takes every n-th. Returns how many.

        Raises TransferFailed when there is none.
        """
        keys = [key for key in self.keys(uri) if not key.endswith("/")]
        if not keys:
            raise TransferFailed(f'No S3 objects found under S3 URL "{uri}" given in input data source.')
        for key in keys[shard[0] :: shard[1]]:
            self.download(S3Uri(uri.bucket, key), inside(folder, relative_key(uri.key, key)))
        return len(keys)

    def download(self, uri: S3Uri, path: Path) -> None:
        """One object to a file. Raises TransferFailed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.client.download_file(uri.bucket, uri.key, str(path), Config=_TRANSFER)
        except ClientError as error:
            raise TransferFailed(f"Data download failed: {error}: {uri}") from error

    def upload(self, path: Path, uri: S3Uri, kms_key: str | None = None) -> None:
        """One file, encrypted with the key given or with S3's own."""
        extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        if not kms_key:
            extra = {"ServerSideEncryption": "AES256"}
        self.client.upload_file(str(path), uri.bucket, uri.key, ExtraArgs=extra, Config=_TRANSFER)

    def upload_folder(self, folder: Path, uri: S3Uri, kms_key: str | None = None) -> int:
        """Every file below a folder under its relative path. Returns how many."""
        found = list(files(folder))
        for path in found:
            self.upload(path, uri.below(path.relative_to(folder).as_posix()), kms_key)
        return len(found)

    def delete(self, uri: S3Uri) -> None:
        self.client.delete_object(Bucket=uri.bucket, Key=uri.key)


def relative_key(prefix: str, key: str) -> str:
    """Path of an object in a folder filled from a prefix: `a/b` and `a/b/` give c/d for a/b/c/d; a/b itself is b."""
    rest = key.removeprefix(prefix)
    if rest.startswith("/") or prefix.endswith("/") or not prefix:
        return rest.lstrip("/")
    return key.removeprefix(prefix[: prefix.rfind("/") + 1])


def inside(folder: Path, relative: str) -> Path:
    """Raises TransferFailed for a key that leads out of the folder."""
    if ".." in PurePosixPath(relative).parts or relative.startswith("/"):
        raise TransferFailed(f"{relative} leads out of the folder it belongs to")
    return folder / relative


def files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, sorted."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def pack(folders: list[Path], target: Path) -> None:
    """One model.tar.gz of several hosts' folders; of files with the same path the last one stays."""
    merged = {path.relative_to(folder).as_posix(): path for folder in folders for path in files(folder)}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for name, path in sorted(merged.items()):
            tar.add(path, name, recursive=False)


def unpack(archive: Path, folder: Path) -> None:
    """Raises TransferFailed for an archive that is broken or leads out of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TransferFailed(f"Unable to extract model data archive: {error}") from error


@dataclass
class Mirror:
    """Keeps a prefix equal to a folder, deletions included: how SageMaker treats /opt/ml/checkpoints."""

    storage: Storage
    folder: Path
    uri: S3Uri
    _known: dict[str, tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def restore(self) -> None:
        """Fill the folder from the prefix, if there is anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        prefix = self.uri.below("")
        if self.storage.keys(prefix):
            self.storage.download_prefix(prefix, self.folder)
        self._known = self._seen()

    def sync(self) -> None:
        """Upload what is new or changed, delete what is gone."""
        with self._lock:
            now = self._seen()
            for name, mark in now.items():
                if self._known.get(name) != mark:
                    self._upload(name)
            for name in self._known.keys() - now.keys():
                self.storage.delete(self.uri.below(name))
            self._known = now

    def _upload(self, name: str) -> None:
        try:
            self.storage.upload(self.folder / name, self.uri.below(name))
        except FileNotFoundError:
            return  # replaced or removed meanwhile: the next look sees it

    def _seen(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                found |= _mark(Path(folder, name), self.folder)
        return found


def _mark(path: Path, folder: Path) -> Mapping[str, tuple[int, int]]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return {}
    return {path.relative_to(folder).as_posix(): (stat.st_size, stat.st_mtime_ns)}
