"""The champion: another version's bundle, judged on the rows that this job holds out.

    input/data/champion/model.tar.gz     the bundle; the job's configuration names the version

Whatever is wrong with it is said in its place; it never ends the job.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from mlops_contracts.bundle import Feature, Manifest
from mlops_contracts.dataset import Column
from mlops_contracts.evaluation import Champion
from training import data
from training.bundle import Bundle, BundleError, load
from training.evaluation.metrics import metrics
from training.failure import MAX_REASON, JobError
from training.features import Array, FeatureError, columns_from_table
from training.model_archive import unpack_channel
from training.paths import MlPaths
from training.prepared import Prepared

CHANNEL: Final = "champion"
MOST_NAMED: Final = 5


class _Unfit(Exception):
    """This champion cannot be judged on these rows; the message says why."""


def judge_champion(paths: MlPaths, prepared: Prepared, threads: int) -> Champion | None:
    """Its figures on the held-out rows, or the reason why there are none; None when the job has no champion."""
    version = prepared.config.champion
    if version is None and not paths.channel(CHANNEL).is_dir():
        return None
    version = version or CHANNEL
    try:
        return _judged(version, paths, prepared, threads)
    except (_Unfit, JobError, BundleError, FeatureError) as error:
        return Champion(version=version, reason=f"{error}"[:MAX_REASON])


def _judged(version: str, paths: MlPaths, prepared: Prepared, threads: int) -> Champion:
    with tempfile.TemporaryDirectory(prefix="champion-") as folder:
        unpack_channel(paths.channel(CHANNEL), Path(folder))
        bundle = load(Path(folder), threads=threads)
        _check(bundle.manifest, prepared)
        scores = _scores(bundle, prepared)
    target, threshold = prepared.target, bundle.manifest.threshold
    return Champion(
        version=version,
        rows=len(scores),
        metrics=metrics(target.problem_type, prepared.y_valid, scores, threshold),
        unseen=_unseen(bundle.manifest, prepared),
    )


def _check(manifest: Manifest, prepared: Prepared) -> None:
    """Raises _Unfit unless it predicts the same thing from columns that this table has."""
    target = prepared.target
    if manifest.target != prepared.config.target:
        raise _Unfit(f"It predicts {manifest.target!r}; this job's target is {prepared.config.target!r}.")
    if manifest.problem_type != target.problem_type:
        raise _Unfit(f"It is a model of {manifest.problem_type}; here the target is {target.problem_type}.")
    if manifest.classes != target.classes:
        raise _Unfit(f"Its classes are {_named(manifest.classes)}; here they are {_named(target.classes)}.")
    columns = {column.name: column for column in prepared.data.report.columns}
    absent = [each.name for each in manifest.features if each.name not in columns]
    if absent:
        raise _Unfit(f"It needs columns that this table does not have: {_named(absent)}.")
    for feature in manifest.features:
        _check_type(feature, columns[feature.name])


def _check_type(feature: Feature, column: Column) -> None:
    kind = "categorical" if column.type == "text" else column.type
    if kind != feature.type:
        raise _Unfit(f"It takes column {column.name!r} as {feature.type}; in this table it is {column.type}.")


def _scores(bundle: Bundle, prepared: Prepared) -> Array:
    features = bundle.manifest.features
    table = data.read_rows(prepared.data, [each.name for each in features], prepared.split.valid)
    scores = bundle.scores(columns_from_table(table, features))
    if not np.isfinite(scores).all():
        raise _Unfit("It gives scores that are not finite on the held-out rows.")
    return scores


def _unseen(manifest: Manifest, prepared: Prepared) -> bool:
    """Whether the manifest proves that none of the held-out rows trained it."""
    same_rows = manifest.validation_rows_sha256 == prepared.validation_digest
    if same_rows and manifest.dataset_sha256 == prepared.dataset_sha256:
        return True
    hashes, fraction = prepared.data.hashes, manifest.validation_fraction
    if hashes is None or fraction is None or manifest.split_key != hashes.key:
        return False
    return bool(hashes.below(fraction)[prepared.split.valid].all())


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(repr(each) for each in names[:MOST_NAMED]) + more
