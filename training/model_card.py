"""The model card: what a model is for, how good it is, and when not to trust it, in Markdown.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019). Everything is computed; nothing is claimed
that the bundle does not hold.
"""

from collections.abc import Iterator

from mlops_contracts.bundle import Feature, Manifest
from mlops_contracts.evaluation import Champion, Evaluation
from mlops_contracts.hyperparameters import AlgorithmName, ProblemType
from mlops_contracts.metrics import OBJECTIVE
from training.markdown import bullets, shortened, table, text

MOST_ROWS = 20
MOST_CATEGORIES = 10
MOST_OF_A_MESSAGE = 1000

_ALGORITHM: dict[AlgorithmName, str] = {
    "random_forest": "a random forest",
    "xgboost": "gradient-boosted trees (XGBoost)",
    "logistic_regression": "logistic regression",
}
_TASK: dict[ProblemType, str] = {
    "binary": "which of two classes a row belongs to",
    "multiclass": "which of several classes a row belongs to",
    "regression": "a number",
}
_SPLIT = {
    "stratified": "drawn at random, each class in its own share",
    "random": "drawn at random",
    "time": "the newest rows, so that the figures are about the future of the training rows",
    "hash": "by what they hold, so that they stay held out in later versions of the dataset",
}


def render(manifest: Manifest, evaluation: Evaluation) -> str:
    """The card of one model bundle. Names, labels and messages from data are escaped."""
    sections = (
        _purpose(manifest, evaluation),
        _warnings(evaluation),
        _figures(evaluation),
        _per_class(evaluation),
        _calibration(evaluation),
        _errors(evaluation),
        _importance(evaluation),
        _slices(evaluation),
        _data(manifest, evaluation),
        _signature(manifest),
        _limits(manifest, evaluation),
        _making(manifest),
    )
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


def _purpose(manifest: Manifest, evaluation: Evaluation) -> Iterator[str]:
    yield f"# Model card: {text(manifest.target)}"
    yield ""
    yield (
        f"Predicts {text(manifest.target)}, {_TASK[manifest.problem_type]}, from {len(manifest.features)} columns "
        f"with {_ALGORITHM[manifest.algorithm]}."
    )
    yield ""
    yield _headline(evaluation)
    yield ""
    if manifest.problem_type == "binary" and len(manifest.classes) == 2:
        threshold = 0.5 if manifest.threshold is None else manifest.threshold
        yield f"Answers {text(manifest.classes[1])} when its probability is at least {threshold:g}."
        yield ""


def _headline(evaluation: Evaluation) -> str:
    name = evaluation.objective
    value, dummy = evaluation.metrics.get(name), evaluation.baseline.get(name)
    if value is None:
        return f"Its {text(name)} is undefined on the {evaluation.validation_rows} held-out rows."
    against = "" if dummy is None else f" (a dummy that ignores every column: {number(dummy)})"
    return f"On {evaluation.validation_rows} held-out rows its {text(name)} is {number(value)}{against}."


def _warnings(evaluation: Evaluation) -> Iterator[str]:
    serious = [warning for warning in evaluation.warnings if warning.code != "ignored_column"]
    if serious:
        yield from _heading("Warnings")
        yield from bullets(
            f"**{warning.code}**: {text(warning.message, MOST_OF_A_MESSAGE)}" for warning in serious[:MOST_ROWS]
        )
        yield from _more(len(serious), "warnings")


def _figures(evaluation: Evaluation) -> Iterator[str]:
    yield from _heading("Figures on held-out rows")
    better = "higher" if OBJECTIVE[evaluation.problem_type][1] == "maximize" else "lower"
    yield f"Versions are ranked by {text(evaluation.objective)}; {better} is better."
    yield ""
    names = [*evaluation.metrics, *(name for name in evaluation.baseline if name not in evaluation.metrics)]
    judged = {"model": evaluation.metrics, "dummy": evaluation.baseline}
    if evaluation.champion is not None:
        judged[f"champion {evaluation.champion.version}"] = evaluation.champion.metrics
    rows = [(name, *(number(figures.get(name)) for figures in judged.values())) for name in names]
    yield from table(("metric", *judged), rows)
    if evaluation.champion is not None:
        yield from _champion(evaluation.champion)


def _champion(champion: Champion) -> Iterator[str]:
    if champion.reason is not None:
        yield f"The champion could not be judged on these rows: {text(champion.reason, MOST_OF_A_MESSAGE)}"
        yield ""
    elif not champion.unseen:
        yield "The champion may have been trained on some of these rows; then it looks better than it is."
        yield ""


def _per_class(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.per_class:
        return
    yield from _heading("Classes")
    rows = [
        (one.label, number(one.precision), number(one.recall), number(one.f1), number(one.auc), one.support)
        for one in evaluation.per_class[:MOST_ROWS]
    ]
    yield from table(("class", "precision", "recall", "F1", "AUC, one against the rest", "held-out rows"), rows)
    yield from _more(len(evaluation.per_class), "classes")


def _calibration(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.calibration:
        return
    yield from _heading("Calibration")
    which = text(evaluation.classes[1]) if evaluation.problem_type == "binary" else "the likeliest class"
    rows = sum(one.rows for one in evaluation.calibration)
    gap = sum(abs(one.mean_predicted - one.observed_rate) * one.rows for one in evaluation.calibration) / rows
    yield (
        f"Probability of {which} against how often it came true. Mean gap: {number(gap)} (0 is perfect); "
        f"Brier score: {number(evaluation.metrics.get('brier'))}."
    )
    yield ""
    bins = [(number(one.mean_predicted), number(one.observed_rate), one.rows) for one in evaluation.calibration]
    yield from table(("mean predicted", "observed", "held-out rows"), bins)


def _errors(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.residuals is not None:
        yield from _heading("Errors")
        yield "Quantiles of predicted minus actual."
        yield ""
        quantiles = evaluation.residuals.error_quantiles.items()
        yield from table(("quantile", "error"), [(share, number(value)) for share, value in quantiles])


def _importance(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.importance:
        return
    yield from _heading("Most important columns")
    yield (
        f"How much worse {text(evaluation.objective)} gets when the column is shuffled, on "
        f"{evaluation.importance_rows} held-out rows. Columns that say the same thing share "
        "their importance; it is not a statement about causes."
    )
    yield ""
    rows = [(one.feature, number(one.mean), number(one.std)) for one in evaluation.importance[:MOST_ROWS]]
    yield from table(("column", "worse by", "standard deviation"), rows)
    yield from _more(len(evaluation.importance), "columns")


def _slices(evaluation: Evaluation) -> Iterator[str]:
    yield from _heading("Where it does worse")
    if not evaluation.slices:
        yield "No part of the held-out rows, by one column at a time, was found to be significantly worse."
        yield ""
        return
    yield f"Parts of the held-out rows with a significantly worse {text(evaluation.slice_metric or 'figure')}."
    yield ""
    rows = [(one.condition, one.rows, number(one.metric), number(one.overall)) for one in evaluation.slices]
    yield from table(("rows where", "held-out rows", "there", "overall"), rows)


def _data(manifest: Manifest, evaluation: Evaluation) -> Iterator[str]:
    yield from _heading("Data")
    yield from bullets(
        (
            f"Dataset {text(manifest.dataset)}, SHA-256 {text(manifest.dataset_sha256 or 'not recorded')}",
            f"{evaluation.training_rows} rows to train, {evaluation.validation_rows} held out: "
            f"{_SPLIT[evaluation.split]} (seed {manifest.seed})",
        )
    )
    if evaluation.class_balance:
        rows = sum(evaluation.class_balance.values())
        balance = [(label, n, f"{n / max(rows, 1):.1%}") for label, n in evaluation.class_balance.items()]
        yield from table(("class", "rows", "share"), balance[:MOST_ROWS])
        yield from _more(len(balance), "classes")
    ignored = [
        text(warning.message, MOST_OF_A_MESSAGE) for warning in evaluation.warnings if warning.code == "ignored_column"
    ]
    if ignored:
        yield "Columns that were not used:"
        yield ""
        yield from bullets(ignored[:MOST_ROWS])
        yield from _more(len(ignored), "columns")


def _signature(manifest: Manifest) -> Iterator[str]:
    yield from _heading("Signature")
    rows = [
        (one.name, one.type, "yes" if one.required else "no", _values(one), _plain(one.example))
        for one in manifest.features
    ]
    yield from table(("column", "type", "required", "values in training", "example"), rows, figures=False)


def _values(feature: Feature) -> str:
    if feature.type == "boolean":
        return "true, false"
    if feature.type == "categorical":
        named, left_out = ", ".join(shortened_list(feature.categories)), len(feature.categories) - MOST_CATEGORIES
        return f"{named} and {left_out} more" if left_out > 0 else named
    if feature.minimum is None or feature.maximum is None:
        return ""
    return f"{number(feature.minimum)} to {number(feature.maximum)}"


def shortened_list(names: tuple[str, ...]) -> list[str]:
    """The first few names, each short enough for a list in a table's cell."""
    return [name if len(name) <= 18 else name[:17] + "…" for name in names[:MOST_CATEGORIES]]


def _plain(value: float | bool | str | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, float | int) else shortened(value or "")


def _limits(manifest: Manifest, evaluation: Evaluation) -> Iterator[str]:
    yield from _heading("Limits")
    yield from bullets(_limit_lines(manifest, evaluation))


def _limit_lines(manifest: Manifest, evaluation: Evaluation) -> Iterator[str]:
    yield "The figures hold for rows that come about as the training rows did; watch drift and measured performance."
    if any(feature.type == "numeric" for feature in manifest.features):
        yield "Numbers outside the ranges of the signature are extrapolation."
    if any(feature.type == "categorical" for feature in manifest.features):
        yield "Categories that are not in the signature are all treated alike."
    if evaluation.split != "time":
        yield (
            "Held-out rows were drawn from the same period as the training rows: if the world changes with time, "
            "a split by time gives a more honest figure."
        )
    if evaluation.validation_rows < 1000:
        yield f"{evaluation.validation_rows} held-out rows leave the figures uncertain in the second decimal."
    if manifest.problem_type != "regression":
        yield "The probabilities are not recalibrated; see Calibration before using them as odds."
    yield "Fairness between groups was not examined beyond the parts of the rows listed above."


def _making(manifest: Manifest) -> Iterator[str]:
    yield from _heading("How it was made")
    settings = [(name, _setting(value)) for name, value in manifest.hyperparameters.items()]
    yield from table(("hyperparameter", "value"), [*settings, ("seed", manifest.seed)])
    yield from table(("library", "version"), manifest.libraries.items())


def _setting(value: float | str | bool | None) -> str:
    return "no limit" if value is None else _plain(value)


def _heading(title: str) -> list[str]:
    return [f"## {title}", ""]


def _more(count: int, what: str) -> Iterator[str]:
    if count > MOST_ROWS:
        yield f"{count - MOST_ROWS} more {what} are in evaluation.json."
        yield ""


def number(value: float | None) -> str:
    """Four significant digits, all of those before the point; a dash for what is undefined."""
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
