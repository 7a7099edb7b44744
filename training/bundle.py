"""A model bundle on disk: written by `train`, verified and evaluated by `serve` and `transform`.

Data only: JSON, npz without pickle, or XGBoost's own format. The layout is in mlops_contracts.bundle.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from pydantic import ValidationError

from mlops_contracts.bundle import BUNDLE_FORMAT, GRAPH, MANIFEST, FileDigest, Manifest
from mlops_contracts.hyperparameters import AlgorithmName
from training.features import ColumnMap, Encoder
from training.scorers.base import ModelFileError, Scorer

Array = npt.NDArray[Any]

MODEL_FILE: dict[AlgorithmName, str] = {
    "xgboost": "model.ubj",
    "random_forest": "forest.npz",
    "logistic_regression": "linear.json",
}


class BundleError(Exception):
    """The bundle cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Bundle:
    """A verified model, ready to score."""

    manifest: Manifest
    encoder: Encoder
    scorer: Scorer

    def scores(self, columns: ColumnMap) -> Array:
        """Scores of n rows, float64.

        (n, k) probabilities in the order of `manifest.classes` (two columns for a binary model), or (n,) values
        for regression. Raises KeyError for a feature that `columns` lacks.
        """
        return self.scorer.scores(self.encoder.matrix(columns))

    def dense_scores(self, numbers: Array, codes: Array) -> Array:
        """As `scores`, of the arrays that Encoder.assemble takes."""
        return self.scorer.scores(self.encoder.assemble(numbers, codes))


def load(folder: Path, *, threads: int | None = None, small_requests: bool = False) -> Bundle:
    """Verify every file's sha256 and load the model; raises BundleError naming the file at fault.

    `threads` is for large inputs, by default as `machine_threads` says. `small_requests`: load model.onnx too, where
    the bundle has it, and measure for which sizes it is faster.
    """
    manifest = _read_manifest(folder)
    for name, digest in manifest.files.items():
        _verify(folder, name, digest)
    file = MODEL_FILE[manifest.algorithm]
    if file not in manifest.files:
        raise BundleError(f"{MANIFEST}: it does not list {file}")
    encoder = Encoder(manifest.features, manifest.algorithm)
    try:
        scorer = _scorer(manifest, folder, encoder.width, threads or machine_threads())
    except ModelFileError as error:
        raise BundleError(f"{file}: {error}") from error
    if small_requests and manifest.accelerated is not None:
        scorer = _accelerated(manifest, folder, scorer, encoder)
    return Bundle(manifest, encoder, scorer)


def _read_manifest(folder: Path) -> Manifest:
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{MANIFEST}: not found in {folder}") from error
    except ValueError as error:
        raise BundleError(f"{MANIFEST}: not JSON: {error}") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != BUNDLE_FORMAT:
        raise BundleError(f"{MANIFEST}: format version {version}; this program reads {BUNDLE_FORMAT}")
    try:
        # From the text, not from `content`: JSON arrays are tuples of the manifest only there.
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise BundleError(f"{MANIFEST}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error


def _verify(folder: Path, name: str, digest: FileDigest) -> None:
    if Path(name).name != name:
        raise BundleError(f"{MANIFEST}: {name!r} is not a plain file name")
    try:
        found = _digest(folder / name)
    except FileNotFoundError as error:
        raise BundleError(f"{name}: listed in {MANIFEST}, but not found") from error
    if found != digest:
        raise BundleError(f"{name}: sha256 is {found.sha256}, {MANIFEST} says {digest.sha256}")


def _digest(path: Path) -> FileDigest:
    with path.open("rb") as file:
        return FileDigest(sha256=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=path.stat().st_size)


def _scorer(manifest: Manifest, folder: Path, width: int, threads: int) -> Scorer:
    classes = len(manifest.classes)
    if manifest.algorithm == "xgboost":
        from training.scorers.boosted import BoostedScorer

        return BoostedScorer.load(folder, width, classes, threads)
    if manifest.algorithm == "random_forest":
        from training.scorers.forest import ForestScorer

        return ForestScorer.load(folder, width, classes, threads)
    from training.scorers.linear import LinearScorer

    return LinearScorer.load(folder, width, classes)


def _accelerated(manifest: Manifest, folder: Path, scorer: Scorer, encoder: Encoder) -> Scorer:
    from training import accelerate  # ONNX Runtime takes a moment to import, and only model servers need it

    if GRAPH not in manifest.files:
        raise BundleError(f"{MANIFEST}: it does not list {GRAPH}")
    try:
        return accelerate.fastest(folder / GRAPH, scorer, encoder, len(manifest.classes))
    except ModelFileError as error:
        raise BundleError(f"{GRAPH}: {error}") from error


def machine_threads() -> int:
    """MLOPS_THREADS, else the number of usable cores."""
    return int(os.environ.get("MLOPS_THREADS") or 0) or len(os.sched_getaffinity(0))


def write(folder: Path, manifest: Manifest, scorer: Scorer) -> Manifest:
    """Write the model file and, last, manifest.json with the digests of every file in `folder`.

    Whatever else belongs to the bundle (statistics, evaluation, card) must lie in `folder` before.
    Returns the manifest as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scorer.save(folder)
    manifest = manifest.model_copy(update={"files": dict(_digests(folder))})
    partial = folder / f".{MANIFEST}.partial"
    partial.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    partial.rename(folder / MANIFEST)
    return manifest


def _digests(folder: Path) -> Iterator[tuple[str, FileDigest]]:
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            yield path.name, _digest(path)
