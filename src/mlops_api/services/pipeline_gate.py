"""The gate of a recipe: which candidate is the best, whether it beats the champion, and what becomes of it."""

from collections.abc import Sequence

from mlops_api.domain.errors import Conflict, Forbidden, Invalid
from mlops_api.domain.models import Approve
from mlops_api.domain.pipelines import Candidate, Gate, GateVerdict, Recipe
from mlops_api.services.pipeline_records import StoredExecution
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM
from mlops_api.services.registry import RegistryService
from mlops_contracts.evaluation import Champion, Evaluation
from mlops_contracts.metrics import goodness


class PipelineGate:
    def __init__(self, registry: RegistryService, policy: Policy) -> None:
        self._registry = registry
        self._policy = policy

    # ---- judging

    def judge(self, execution: StoredExecution, candidates: Sequence[Candidate]) -> tuple[list[Candidate], GateVerdict]:
        """The candidates with their values, and the verdict on the best. At least one has a model version.

        Raises Invalid when the gate's metric is none of the evaluation's.
        """
        trained = {each.job: each.model_version for each in candidates if each.model_version}
        evaluations = {job: self._registry.evaluation(version) for job, version in trained.items()}
        gate = _recipe(execution).gate
        metric = gate.metric or next(iter(evaluations.values())).objective
        values = {job: _value(evaluation, metric) for job, evaluation in evaluations.items()}
        best = max(values, key=lambda job: goodness(metric, values[job]))
        valued = [each.model_copy(update={"value": values.get(each.job)}) for each in candidates]
        verdict = GateVerdict(
            metric=metric, candidate=trained[best], candidate_value=values[best], margin=gate.margin, passed=False
        )
        return valued, verdict.model_copy(update=_judged(verdict, evaluations[best]))

    # ---- deciding

    def decide(self, execution: StoredExecution) -> str:
        """Approve and deploy as the gate says; what became of the best candidate, in a sentence."""
        gate, verdict = _recipe(execution).gate, execution.comparison
        if verdict is None:
            raise Conflict(f"{execution.execution} has not been evaluated.")
        version = verdict.candidate
        if not verdict.passed:
            return f"{version} did not pass the gate; it waits for a person: mlops models show {version}"
        waits = f"{version} passed the gate and waits for approval: mlops models approve {version} --deploy"
        if not gate.auto_approve:
            return waits
        if self._policy.second_approver:
            return f"{waits} (MLOPS_SECOND_APPROVER is set: only a person approves)"
        return self._approve(execution.execution, version, gate, verdict)

    def _approve(self, execution: str, version: str, gate: Gate, verdict: GateVerdict) -> str:
        status = self._registry.get(version).approval_status
        done = f"{version} passed the gate and was approved" + (" and deployed" if gate.deploy else "")
        if status == "Rejected":
            return f"{version} passed the gate, but was rejected by a person meanwhile"
        if status == "Approved" and not gate.deploy:
            return done
        request = Approve(comment=f"{execution}: {' '.join(verdict.reasons)}"[:2000], deploy=gate.deploy)
        try:
            self._registry.approve(PLATFORM, version, request, f"{execution}-approve")
        except (Conflict, Forbidden) as error:
            return f"{version} passed the gate, but was not approved: {error.detail}"
        return done


def _recipe(execution: StoredExecution) -> Recipe:
    if execution.recipe is None:
        raise Conflict(f"{execution.execution} has no recipe: nothing was trained.")
    return execution.recipe


def _value(evaluation: Evaluation, metric: str) -> float:
    if metric not in evaluation.metrics:
        known = ", ".join(sorted(evaluation.metrics))
        raise Invalid(f"The gate's metric {metric!r} is none of the evaluation's: {known}. Change the recipe.")
    return evaluation.metrics[metric]


def _against_dummy(verdict: GateVerdict, evaluation: Evaluation) -> dict[str, object]:
    """There is no champion: better than a model that ignores the features is what can be asked."""
    metric, value = verdict.metric, verdict.candidate_value
    dummy = evaluation.baseline.get(metric)
    if dummy is None:
        return {"rows": evaluation.validation_rows, "passed": True, "reasons": ["There is no champion yet."]}
    passed = goodness(metric, value - dummy) > 0
    reason = f"There is no champion yet; {metric} {value:.6g} against {dummy:.6g} of a model that ignores the features."
    return {"rows": evaluation.validation_rows, "passed": passed, "reasons": [reason]}


def _judged(verdict: GateVerdict, evaluation: Evaluation) -> dict[str, object]:
    champion = evaluation.champion
    if champion is None:
        return _against_dummy(verdict, evaluation)
    named = {"champion": champion.version, "rows": champion.rows or None}
    if champion.reason is not None or verdict.metric not in champion.metrics:
        why = champion.reason or f"It has no {verdict.metric}."
        return named | {"reasons": [f"{champion.version} could not be judged on these rows. {why}"]}
    return named | _against_champion(verdict, champion)


def _against_champion(verdict: GateVerdict, champion: Champion) -> dict[str, object]:
    metric, value = verdict.metric, champion.metrics[verdict.metric]
    difference = goodness(metric, verdict.candidate_value) - goodness(metric, value)
    passed = difference > 0 and difference >= verdict.margin
    by = f" by at least {verdict.margin:g}" if verdict.margin else ""
    figures = f"{metric} {verdict.candidate_value:.6g} against {value:.6g} of {champion.version}"
    reasons = [f"{figures}, on {champion.rows} rows: {'better' if passed else 'not better'}{by}."]
    if not champion.unseen:
        reasons.append(f"{champion.version} may have been trained on some of these rows, which flatters it.")
    return {"champion_value": value, "difference": difference, "passed": passed, "reasons": reasons}
