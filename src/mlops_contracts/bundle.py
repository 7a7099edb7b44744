"""manifest.json of a model bundle: data only, never pickle.

manifest.json      this
model.ubj          XGBoost        | one
forest.npz         RandomForest   | of
linear.json        Logistic       | them
statistics.json    baseline in SageMaker Model Monitor's format
constraints.json   baseline in SageMaker Model Monitor's format
evaluation.json    see evaluation.py
model-card.md
"""

from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract
from mlops_contracts.evaluation import SplitKind
from mlops_contracts.hyperparameters import AlgorithmName, ProblemType

BUNDLE_FORMAT = 1
MANIFEST = "manifest.json"
EVALUATION = "evaluation.json"
MODEL_CARD = "model-card.md"
STATISTICS = "statistics.json"
CONSTRAINTS = "constraints.json"
GRAPH = "model.onnx"


class FileDigest(Contract):
    sha256: str
    size_bytes: int


class Feature(Contract):
    """One input column of the signature, and how it is encoded.

    numeric: a finite number or missing; missing is replaced by `fill` (None: kept as NaN, XGBoost).
    boolean: true or false or missing; encoded 1.0 / 0.0, missing as for numeric.
    categorical: one of `categories`, anything else is an unseen level, missing has a level of its own. For trees
    `fill` is the code an unseen level takes (None: the one that levels too rare for `categories` had in training).
    """

    name: str
    type: Literal["numeric", "categorical", "boolean"]
    required: bool = Field(description="False when training data had missing cells: the key may be left out.")
    fill: float | None = None
    categories: tuple[str, ...] = ()
    minimum: float | None = Field(None, description="Smallest value seen in training.")
    maximum: float | None = None
    example: float | bool | str | None = None


class Accelerated(Contract):
    """model.onnx: a second form of the same model that answers small requests faster."""

    max_difference: float = Field(description="From the model, on the rows checked: of probabilities, or relative.")
    checked_rows: int


class Manifest(Contract):
    format_version: int = BUNDLE_FORMAT
    algorithm: AlgorithmName
    problem_type: ProblemType
    target: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...] = Field((), description="Labels in the order of the probabilities; empty for regression.")
    threshold: float | None = Field(None, description="Binary: positive when P(classes[1]) >= threshold.")
    dataset: str
    dataset_sha256: str
    seed: int
    validation_fraction: float | None = None
    split: SplitKind | None = Field(None, description="How the held-out rows were chosen.")
    split_key: str = Field(
        "", description="Split by hash: with an equal key and fraction, equal rows of any other table are held out too."
    )
    time_column: str | None = None
    excluded: tuple[str, ...] = Field((), description="Columns the user left out.")
    ignored: dict[str, str] = Field(
        default_factory=dict, description="Column of the dataset that is no feature -> why, as in `it is the target`."
    )
    validation_rows_sha256: str = Field("", description="Of the held-out rows' numbers: equal when the rows are.")
    training_rows: int
    validation_rows: int
    hyperparameters: dict[str, float | str | bool | None]
    libraries: dict[str, str]
    metrics: dict[str, float] = Field(description="Of the held-out rows; the same as evaluation.json's.")
    importance: dict[str, float] = Field(description="Mean permutation importance by feature, on held-out rows.")
    accelerated: Accelerated | None = None
    files: dict[str, FileDigest] = Field(description="Every file of the bundle but this one.")
