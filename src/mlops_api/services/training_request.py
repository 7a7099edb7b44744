"""What can be refused before a training job is started, so that nobody waits for a failure that was certain."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from mlops_api.domain.errors import Invalid
from mlops_api.domain.training import StartTraining
from mlops_contracts.dataset import Column, DatasetReport
from mlops_contracts.hyperparameters import FEW_VALUES, HYPERPARAMETERS, MAX_CLASSES, PROBLEM_TYPES, ProblemType

Complaint = dict[str, Any]

_MOST_COMPLAINTS = 100
_MOST_HINTS = 5
_MOST_COMPARED = 2000
_LONGEST_NAME = 80


def check_request(request: StartTraining, report: DatasetReport, most_instances: int) -> dict[str, Any]:
    """The hyperparameters with their defaults filled in.

    Raises:
        Invalid: with one entry per complaint, each naming its field.
    """
    columns = {column.name: column for column in report.columns}
    complaints = _column_complaints(request, columns) + _instance_complaints(request, most_instances)
    if not complaints:
        complaints += _target_complaints(request, columns[request.target])
    parameters, bad = _hyperparameters(request)
    complaints += bad
    if complaints:
        raise Invalid(f"The training job cannot start: {complaints[0]['message']}", complaints[:_MOST_COMPLAINTS])
    return parameters


def _column_complaints(request: StartTraining, columns: dict[str, Column]) -> list[Complaint]:
    asked = [("target", request.target), *(("exclude", name) for name in request.exclude)]
    if request.time_column is not None:
        asked.append(("time_column", request.time_column))
    unknown = [(field, name) for field, name in asked if name not in columns][:_MOST_COMPLAINTS]
    found = [
        _complaint(field, f"{name!r} is not a column of {request.dataset}.{hint}")
        for (field, name), hint in zip(unknown, _hints([name for _, name in unknown], list(columns)), strict=True)
    ]
    if request.target in (*request.exclude, request.time_column):
        found.append(_complaint("target", "The target cannot be excluded or be the time column."))
    if request.split == "hash" and request.time_column is not None:
        found.append(_complaint("split", "Rows are held out by hash or by time_column, not by both; leave one out."))
    if request.time_column in columns and columns[request.time_column].type not in ("datetime", "numeric"):
        kind = columns[request.time_column].type
        found.append(
            _complaint("time_column", f"{request.time_column!r} is {kind}; a time column is datetime or numeric.")
        )
    return found


def _target_complaints(request: StartTraining, target: Column) -> list[Complaint]:
    found = []
    if target.type in ("text", "datetime"):
        found.append(_complaint("target", f"{target.name!r} is a {target.type} column and cannot be predicted."))
    if target.distinct < 2:
        found.append(
            _complaint("target", f"{target.name!r} has {target.distinct} distinct value: there is nothing to learn.")
        )
    supported = PROBLEM_TYPES[request.algorithm]
    if request.problem_type is not None and request.problem_type not in supported:
        found.append(_complaint("problem_type", f"{request.algorithm} does {', '.join(supported)}."))
    if target.type == "numeric" and target.distinct > FEW_VALUES and not _may_regress(request, supported):
        found.append(
            _complaint(
                "algorithm",
                f"{target.name!r} has {target.distinct} distinct numbers: a regression, which {request.algorithm} does "
                f"not do. Choose another algorithm, or say problem_type multiclass if the numbers are classes.",
            )
        )
    if request.problem_type == "binary" and target.distinct > 2:
        found.append(
            _complaint("problem_type", f"{target.name!r} has {target.distinct} distinct values; binary needs two.")
        )
    if request.problem_type in (None, "multiclass") and _classes(request, target) > MAX_CLASSES:
        found.append(
            _complaint("target", f"{target.name!r} has {target.distinct} classes; at most {MAX_CLASSES} can be learnt.")
        )
    if request.problem_type == "regression" and target.type != "numeric":
        found.append(
            _complaint("problem_type", f"{target.name!r} is {target.type}; regression needs a numeric target.")
        )
    return found


def _may_regress(request: StartTraining, supported: Sequence[ProblemType]) -> bool:
    """Inference may come out as regression and the algorithm does it, or the user has said what it is."""
    return request.problem_type is not None or "regression" in supported


def _classes(request: StartTraining, target: Column) -> int:
    """How many classes the job would have; 0 for what inference takes for a regression."""
    inferred_numeric = request.problem_type is None and target.type == "numeric"
    return 0 if inferred_numeric and target.distinct > FEW_VALUES else target.distinct


def _instance_complaints(request: StartTraining, most: int) -> list[Complaint]:
    if request.instance_count <= most:
        return []
    return [_complaint("instance_count", f"At most {most} here; in the aws mode MLOPS_MAX_INSTANCES allows more.")]


def _hyperparameters(request: StartTraining) -> tuple[dict[str, Any], list[Complaint]]:
    model = HYPERPARAMETERS[request.algorithm]
    try:
        return model.model_validate(request.hyperparameters).model_dump(mode="json"), []
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)[:_MOST_COMPLAINTS]
        names = [str(item["loc"][0])[:_LONGEST_NAME] if item["loc"] else "hyperparameters" for item in errors]
        hints = _hints(names, list(model.model_fields))
        return {}, [
            _parameter_complaint(request, name, item, hint)
            for name, item, hint in zip(names, errors, hints, strict=True)
        ]


def _parameter_complaint(request: StartTraining, name: str, error: Any, hint: str) -> Complaint:
    if error["type"] == "extra_forbidden":
        return _complaint(f"hyperparameters.{name}", f"{request.algorithm} has no hyperparameter {name!r}.{hint}")
    return _complaint(f"hyperparameters.{name}", f"{name}: {error['msg']}")


def _hints(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """What each may have meant; for the first few only, because looking for near names takes time."""
    few = [_hint(name, known) for name in names[:_MOST_HINTS]]
    return few + [""] * (len(names) - len(few))


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known[:_MOST_COMPARED], n=1)
    listed = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
    return f" Did you mean {near[0]!r}?" if near else f" There are: {listed}."


def _complaint(field: str, message: str) -> Complaint:
    return {"field": field, "message": message}
