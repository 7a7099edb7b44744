"""What differs between two model versions. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

from mlops_api.domain.models import Comparison, Difference, MetricDifference, SchemaDifference
from mlops_contracts.bundle import Feature, Manifest
from mlops_contracts.metrics import goodness


def compare(left: str, left_manifest: Manifest, right: str, right_manifest: Manifest) -> Comparison:
    return Comparison(
        left=left,
        right=right,
        metrics=_metrics(left_manifest.metrics, right_manifest.metrics),
        parameters=_parameters(left_manifest, right_manifest),
        schema_changes=_schema(left_manifest.features, right_manifest.features),
        importance=_differences(left_manifest.importance, right_manifest.importance),
        same_dataset=_same_rows(left_manifest, right_manifest),
    )


def _same_rows(left: Manifest, right: Manifest) -> bool:
    """The same target of the same held-out rows of the same table."""
    own = ("dataset_sha256", "target", "validation_rows_sha256")
    return bool(left.validation_rows_sha256) and all(getattr(left, name) == getattr(right, name) for name in own)


def _metrics(left: Mapping[str, float], right: Mapping[str, float]) -> list[MetricDifference]:
    return [_metric(name, left.get(name), right.get(name)) for name in sorted({*left, *right})]


def _metric(name: str, left: float | None, right: float | None) -> MetricDifference:
    if left is None or right is None:
        return MetricDifference(name=name, left=left, right=right)
    change = right - left
    return MetricDifference(name=name, left=left, right=right, change=change, better=_better(name, change))


def _better(name: str, change: float) -> Literal["left", "right", "equal"]:
    if change == 0:
        return "equal"
    return "right" if goodness(name, change) > 0 else "left"


def _parameters(left: Manifest, right: Manifest) -> list[Difference]:
    own: tuple[str, ...] = ("algorithm", "dataset", "target", "seed", "problem_type", "threshold")
    own += ("time_column", "validation_fraction", "excluded")
    return _differences(
        {name: getattr(left, name) for name in own} | dict(left.hyperparameters),
        {name: getattr(right, name) for name in own} | dict(right.hyperparameters),
    )


def _differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    names = sorted({*left, *right})
    return [
        Difference(name=name, left=left.get(name), right=right.get(name))
        for name in names
        if left.get(name) != right.get(name)
    ]


def _schema(left: tuple[Feature, ...], right: tuple[Feature, ...]) -> list[SchemaDifference]:
    before = {feature.name: feature for feature in left}
    after = {feature.name: feature for feature in right}
    found = [_removed(name) for name in before.keys() - after.keys()]
    found += [_added(after[name]) for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        found += _changed(before[name], after[name])
    return sorted(found, key=lambda item: (not item.breaking, item.feature))


def _removed(name: str) -> SchemaDifference:
    detail = "requests that still send it are refused as an unknown column"
    return SchemaDifference(feature=name, change="removed", breaking=True, detail=detail)


def _added(feature: Feature) -> SchemaDifference:
    detail = "required" if feature.required else "may be left out"
    return SchemaDifference(feature=feature.name, change="added", breaking=feature.required, detail=detail)


def _changed(left: Feature, right: Feature) -> list[SchemaDifference]:
    found = []
    if left.type != right.type:
        detail = f"{left.type} -> {right.type}"
        found.append(SchemaDifference(feature=left.name, change="type", breaking=True, detail=detail))
    if left.required != right.required:
        detail = "now required" if right.required else "may now be left out"
        found.append(SchemaDifference(feature=left.name, change="required", breaking=right.required, detail=detail))
    new, lost = set(right.categories) - set(left.categories), set(left.categories) - set(right.categories)
    if left.type == right.type == "categorical" and (new or lost):
        detail = f"{len(new)} new, {len(lost)} no longer known"
        found.append(SchemaDifference(feature=left.name, change="categories", breaking=False, detail=detail))
    return found
