"""What the platform tells a training job in input/config."""

import json
from pathlib import Path

from mlops_contracts.hyperparameters import Hyperparameters
from mlops_contracts.job import JobConfig, decode
from training.failure import JobError


def read_config(path: Path) -> tuple[JobConfig, Hyperparameters]:
    """hyperparameters.json; raises JobError when it is absent or no JSON map, ValidationError for a bad value."""
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise JobError(f"There is no {path.name} in input/config; start the job through the platform.") from error
    except ValueError as error:
        raise JobError(f"{path.name} is not JSON: {error}.") from error
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        raise JobError(f"{path.name} must be a map from string to string.")
    return _decoded(raw, path.name)


def _decoded(raw: dict[str, str], name: str) -> tuple[JobConfig, Hyperparameters]:
    try:
        return decode(raw)
    except json.JSONDecodeError as error:
        raise JobError(f"A value in {name} is not JSON ({error}); texts need quotes, as in '\"xgboost\"'.") from error
