"""What each algorithm accepts. One home for names, bounds and defaults.

The API validates a request with these classes and publishes their JSON Schema; the container parses
`hyperparameters.json` with the same classes. Fields carry a description because a form is built from them.
"""

from typing import Annotated, Literal

from pydantic import Field

from mlops_contracts.base import Contract

AlgorithmName = Literal["random_forest", "xgboost", "logistic_regression"]
ProblemType = Literal["binary", "multiclass", "regression"]

ClassWeight = Annotated[
    Literal["none", "balanced"],
    Field(description="balanced: weigh each class by the inverse of its frequency. Ignored for regression."),
]


class RandomForestHyperparameters(Contract):
    """scikit-learn RandomForestClassifier / RandomForestRegressor."""

    n_estimators: int = Field(100, ge=1, le=2000, description="Number of trees.")
    max_depth: int | None = Field(None, ge=1, le=64, description="Deepest level of a tree; empty: no limit.")
    min_samples_leaf: int = Field(5, ge=1, le=10_000, description="Fewest rows in a leaf.")
    max_features: Literal["sqrt", "log2", "all"] = Field("sqrt", description="Features tried at each split.")
    class_weight: ClassWeight = "none"


class XGBoostHyperparameters(Contract):
    """XGBoost's hist tree method with early stopping on the validation rows."""

    n_estimators: int = Field(300, ge=1, le=5000, description="Most boosting rounds.")
    max_depth: int = Field(6, ge=1, le=16, description="Deepest level of a tree.")
    learning_rate: float = Field(0.1, gt=0, le=1, description="Shrinkage of each round (eta).")
    min_child_weight: float = Field(1.0, ge=0, le=10_000, description="Least sum of instance weight in a child.")
    subsample: float = Field(1.0, gt=0, le=1, description="Share of rows drawn for each tree.")
    colsample_bytree: float = Field(1.0, gt=0, le=1, description="Share of columns drawn for each tree.")
    reg_lambda: float = Field(1.0, ge=0, le=10_000, description="L2 regularisation of leaf weights.")
    reg_alpha: float = Field(0.0, ge=0, le=10_000, description="L1 regularisation of leaf weights.")
    early_stopping_rounds: int = Field(
        20, ge=0, le=500, description="Stop when the validation metric has not improved for so many rounds; 0: never."
    )
    class_weight: ClassWeight = "none"


class LogisticRegressionHyperparameters(Contract):
    """scikit-learn LogisticRegression on standardised, one-hot encoded features."""

    C: float = Field(1.0, gt=0, le=1e6, description="Inverse of the L2 regularisation strength.")
    max_iter: int = Field(1000, ge=1, le=100_000, description="Most iterations of the solver.")
    class_weight: ClassWeight = "none"


Hyperparameters = RandomForestHyperparameters | XGBoostHyperparameters | LogisticRegressionHyperparameters

HYPERPARAMETERS: dict[AlgorithmName, type[Hyperparameters]] = {
    "random_forest": RandomForestHyperparameters,
    "xgboost": XGBoostHyperparameters,
    "logistic_regression": LogisticRegressionHyperparameters,
}

FEW_VALUES = 10
"""A numeric target with at most so many distinct whole values is taken for classes."""
MAX_CLASSES = 100

PROBLEM_TYPES: dict[AlgorithmName, tuple[ProblemType, ...]] = {
    "random_forest": ("binary", "multiclass", "regression"),
    "xgboost": ("binary", "multiclass", "regression"),
    "logistic_regression": ("binary", "multiclass"),
}
