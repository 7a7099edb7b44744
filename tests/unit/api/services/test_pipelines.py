"""From an upload to compared candidates: one execution per version, whatever comes twice, late, or not at all."""

import random
from dataclasses import replace

import pytest

from mlops_api.domain.alerts import Alert
from mlops_api.domain.errors import Conflict, NotFound, Unavailable
from mlops_api.domain.models import Approve, Reject
from mlops_api.domain.pipelines import ALWAYS, STEPS, Execution, StartPipeline
from mlops_api.services.alerts import alert_collection
from mlops_contracts.dataset import Finding
from mlops_contracts.evaluation import Champion
from tests.support.manual_runners import event
from tests.support.platform import ANN, BOB, World, a_preview, a_profile, a_report, at_once, world

AUC = {"random_forest": 0.7, "xgboost": 0.8, "logistic_regression": 0.6}


def names(execution: Execution, *statuses: str) -> list[str]:
    return [step.name for step in execution.steps if not statuses or step.status in statuses]


def alerts(here: World) -> list[Alert]:
    return list(alert_collection(here.records).every("all", "alert"))


def refuse(here: World, version: str) -> None:
    job = version.replace(":", "-v")
    finding = Finding(code="ragged_row", message="it has 3 cells, not 2.", column="b", row=7, line=8)
    here.processing.complete(job, a_report((), finding))
    here.tell("processing", job)


# ---- without a recipe


def test_an_upload_is_an_execution_that_ends_behind_the_quality_check(here: World) -> None:
    here.uploaded()
    running = here.execution()
    assert (running.status, running.dataset, running.created_by) == ("RUNNING", "flights:1", "ann")
    assert names(running, "PENDING") == list(STEPS[2:])
    here.processing.complete("flights-v1", a_report(), a_profile(), a_preview())
    here.tell("processing", "flights-v1")
    ended = here.execution()
    assert (ended.status, names(ended), ended.candidates) == ("SUCCEEDED", list(ALWAYS), [])
    assert ended.ended_at is not None
    assert alerts(here) == []


def test_a_hundred_events_in_any_order_are_one_execution(here: World) -> None:
    here.recipe()
    created = here.create()
    parts = [(part.part_number, part.etag) for part in here.send(created).parts]
    here.objects.complete_upload(here.records.get("dataset", created.version).data["upload_id"], parts)
    uploaded = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"object": {"key": "datasets/flights/1/raw"}},
    }
    events = [uploaded, event("processing", "flights-v1")] * 100
    random.Random(7).shuffle(events)  # noqa: S311 - an order, no secret
    react = here.platform.events.handle
    assert at_once(*[lambda told=told: react(told) for told in events[:50]]) == [True] * 50
    for told in events[50:]:
        react(told)
    page = here.platform.pipelines.page(dataset=None, status=None, limit=100, token=None)
    assert [each.execution for each in page.executions] == ["flights-v1"]
    assert here.processing.starts == {"flights-v1": 1}
    here.processing.complete("flights-v1", a_report(), a_profile(), a_preview())
    assert at_once(*[lambda: here.tell("processing", "flights-v1")] * 50) == [None] * 50
    execution = here.candidates_end("flights-v1", AUC)
    jobs = [candidate.job for candidate in execution.candidates]
    assert at_once(*[lambda job=job: here.tell("training", job) for job in jobs * 20]) == [None] * 60
    assert here.training.starts == dict.fromkeys(jobs, 1)
    assert here.execution().status == "SUCCEEDED"
    assert len(alerts(here)) == 1


def test_each_version_has_its_own(here: World) -> None:
    for _ in range(3):
        here.ready()
    here.ready("penguins")
    found = here.platform.pipelines.page(dataset="flights", status="SUCCEEDED", limit=10, token=None).executions
    assert [each.execution for each in found] == ["flights-v3", "flights-v2", "flights-v1"]


# ---- a refused table


def test_a_refused_table_fails_it_naming_code_column_and_row(here: World) -> None:
    here.recipe()
    refuse(here, here.uploaded())
    ended = here.execution()
    assert (ended.status, ended.error) == ("FAILED", "DatasetRejected")
    for part in ("flights:1", "ragged_row", "column b", "row 7", "3 cells", "mlops data show flights:1"):
        assert part in (ended.cause or "")
    assert names(ended, "FAILED") == ["CheckQuality"]
    assert names(ended, "PENDING") == ["PlanTraining", "Train", "Evaluate", "Register", "Notify"]
    [alert] = alerts(here)
    assert (alert.kind, alert.severity, alert.path) == ("pipeline.failed", "error", "/pipelines/flights-v1")
    assert "row 7" in alert.body
    assert here.training.starts == {}


def test_the_next_file_is_processed_after_a_refused_one(here: World) -> None:
    here.recipe()
    refuse(here, here.uploaded())
    here.ready()
    assert here.candidates_end("flights-v2", AUC).status == "SUCCEEDED"


def test_a_refused_table_is_not_retried_but_uploaded_anew(here: World) -> None:
    refuse(here, here.uploaded())
    with pytest.raises(Conflict, match="mlops data upload FILE --name flights"):
        here.platform.pipelines.retry(ANN, "flights-v1")


def test_a_validation_that_could_not_run_is_the_cause(here: World) -> None:
    here.uploaded()
    here.processing.end("flights-v1", "Failed", "out of memory")
    here.tell("processing", "flights-v1")
    ended = here.execution()
    assert (ended.status, ended.error) == ("FAILED", "DatasetRejected")
    assert "out of memory" in (ended.cause or "")


# ---- with a recipe


def test_a_recipe_leads_to_candidates_their_comparison_and_a_notification(here: World) -> None:
    here.recipe(exclude=["remark"])
    here.ready()
    ended = here.candidates_end("flights-v1", AUC)
    assert (ended.status, names(ended)) == ("SUCCEEDED", list(STEPS))
    assert {each.algorithm: each.value for each in ended.candidates} == AUC
    assert all(each.status == "Completed" and each.model_version for each in ended.candidates)
    assert ended.comparison is not None
    assert (ended.comparison.metric, ended.comparison.candidate_value, ended.passed) == ("auc", 0.8, True)
    best = here.platform.registry.get(ended.model_version or "")
    assert (best.algorithm, best.approval_status, best.created_by) == ("xgboost", "PendingManualApproval", "ann")
    [alert] = alerts(here)
    assert (alert.kind, alert.subject, ended.notification) == ("pipeline.succeeded", ended.notification, alert.subject)
    assert [notice.key for notice in here.notifier.taken] == [alert.alert]
    job = here.platform.training.get(ended.candidates[0].job)
    assert (job.execution, job.split, job.exclude) == ("flights-v1", "hash", ["remark"])


def test_the_recipe_is_the_one_of_the_moment_training_was_planned(here: World) -> None:
    here.recipe(algorithms=["xgboost"])
    here.ready()
    here.recipe(algorithms=["random_forest"])
    ended = here.candidates_end("flights-v1", AUC)
    assert [each.algorithm for each in ended.candidates] == ["xgboost"]
    assert ended.recipe is not None
    assert ended.recipe.algorithms == ["xgboost"]


def test_a_search_trains_each_point_of_its_grid(here: World) -> None:
    here.recipe(algorithms=["xgboost"], search={"xgboost": {"max_depth": [4, 6, 8]}})
    here.ready()
    execution = here.candidates_end("flights-v1", AUC)
    assert [each.hyperparameters for each in execution.candidates] == [{"max_depth": depth} for depth in (4, 6, 8)]
    jobs = [here.platform.training.get(each.job) for each in execution.candidates]
    assert [job.hyperparameters["max_depth"] for job in jobs] == [4, 6, 8]
    assert execution.model_version == execution.candidates[0].model_version, "of equals the first"


def test_an_algorithm_that_does_not_suit_the_target_is_left_out(here: World) -> None:
    here.recipe(target="delay")
    here.ready()
    assert [each.algorithm for each in here.execution().candidates] == ["random_forest", "xgboost"]


def test_an_algorithm_asked_for_by_name_is_not_left_out_silently(here: World) -> None:
    here.recipe(target="delay", algorithms=["xgboost", "logistic_regression"])
    here.ready()
    ended = here.execution()
    assert (ended.status, ended.error) == ("FAILED", "Invalid")
    assert "logistic_regression does not do" in (ended.cause or "")


def test_a_recipe_that_does_not_suit_the_table_can_be_mended_and_retried(here: World) -> None:
    here.recipe(target="lat")
    here.ready()
    ended = here.execution()
    assert (ended.status, ended.error, names(ended, "FAILED")) == ("FAILED", "Invalid", ["PlanTraining"])
    assert "'lat' is not a column of flights:1. Did you mean 'late'?" in (ended.cause or "")
    here.recipe(target="late")
    here.platform.pipelines.retry(BOB, "flights-v1")
    assert here.candidates_end("flights-v1", AUC).status == "SUCCEEDED"
    assert {alert.kind for alert in alerts(here)} == {"pipeline.failed", "pipeline.succeeded"}
    assert here.processing.starts == {"flights-v1": 1}


def test_a_candidate_that_fails_leaves_the_rest(here: World) -> None:
    here.recipe()
    here.ready()
    ended = here.candidates_end("flights-v1", {"random_forest": 0.7})
    assert ended.status == "SUCCEEDED"
    assert [each.failure_reason for each in ended.candidates] == [None, "diverged", "diverged"]
    assert here.platform.registry.get(ended.model_version or "").algorithm == "random_forest"


def test_when_every_candidate_fails_it_fails_and_says_why(here: World) -> None:
    here.recipe()
    here.ready()
    ended = here.candidates_end("flights-v1", {})
    assert (ended.status, ended.error) == ("FAILED", "NoCandidate")
    assert "flights-v1-xgboost-2: diverged" in (ended.cause or "")
    with pytest.raises(Conflict, match="mlops pipelines start flights:1"):
        here.platform.pipelines.retry(ANN, "flights-v1")


def test_one_candidate_stopped_by_hand_is_not_started_again(here: World) -> None:
    here.recipe()
    here.ready()
    job = here.execution().candidates[0].job
    here.platform.training.stop(ANN, job)
    here.training.end(job, "Stopped")
    here.tell("training", job)
    for candidate in here.execution().candidates[1:]:
        here.completed(candidate.job, algorithm=candidate.algorithm)
    ended = here.execution()
    assert (ended.status, ended.candidates[0].status) == ("SUCCEEDED", "Stopped")
    assert here.training.starts[job] == 1


# ---- the gate


def champion(here: World) -> str:
    return here.approved(deploy=True).version


def after_a_champion(here: World, auc: float, judged: Champion | None = None, **recipe: object) -> Execution:
    """A champion with auc 0.7, then a version whose best candidate has `auc`."""
    version = champion(here)
    here.recipe(algorithms=["xgboost"], **recipe)
    here.ready()
    judged = judged or Champion(version=version, rows=20, metrics={"auc": 0.7, "logloss": 0.4}, unseen=True)
    return here.candidates_end("flights-v2", {"xgboost": auc}, champion=judged)


def test_candidates_are_compared_with_the_champion_on_the_same_rows(here: World) -> None:
    ended = after_a_champion(here, 0.75)
    assert ended.comparison is not None
    assert ended.comparison.model_dump(exclude={"reasons"}) == {
        "metric": "auc", "candidate": "flights:2", "candidate_value": 0.75, "champion": "flights:1",
        "champion_value": 0.7, "rows": 20, "difference": pytest.approx(0.05), "margin": 0.0, "passed": True,
    }  # fmt: skip
    spec = here.training.specs["flights-v2-xgboost-1"]
    assert spec.champion_key == here.records.get("model-version", "flights:1").data["bundle_key"]


@pytest.mark.parametrize(
    ("auc", "margin", "passed"),
    [(0.75, 0.04, True), (0.75, 0.06, False), (0.7, 0.0, False), (0.69, 0.0, False), (0.71, 0.0, True)],
)
def test_the_margin_has_to_be_reached(here: World, auc: float, margin: float, passed: bool) -> None:
    ended = after_a_champion(here, auc, gate={"margin": margin})
    assert (ended.status, ended.passed) == ("SUCCEEDED", passed)
    assert ("did not pass" in (ended.approval or "")) != passed


def test_less_is_better_where_it_is(here: World) -> None:
    here.recipe(algorithms=["xgboost", "random_forest"], gate={"metric": "logloss"})
    here.ready()
    for candidate, loss in zip(here.execution().candidates, (0.5, 0.3), strict=True):
        here.completed(candidate.job, algorithm=candidate.algorithm, metrics={"auc": 0.5, "logloss": loss})
    ended = here.execution()
    assert ended.comparison is not None
    assert (ended.comparison.metric, ended.comparison.candidate_value) == ("logloss", 0.3)
    assert here.platform.registry.get(ended.comparison.candidate).algorithm == "random_forest"


def test_a_champion_that_could_not_be_judged_is_not_beaten(here: World) -> None:
    why = Champion(version="flights:1", reason="It needs columns that this table does not have: 'gate'.")
    ended = after_a_champion(here, 0.99, why, gate={"auto_approve": True})
    assert (ended.status, ended.passed) == ("SUCCEEDED", False)
    assert ended.comparison is not None
    assert "'gate'" in ended.comparison.reasons[0]
    assert here.platform.registry.get("flights:2").approval_status == "PendingManualApproval"


def test_a_champion_that_may_have_seen_the_rows_is_said_to(here: World) -> None:
    seen = Champion(version="flights:1", rows=20, metrics={"auc": 0.7})
    ended = after_a_champion(here, 0.75, seen)
    assert ended.comparison is not None
    assert "flatters" in ended.comparison.reasons[-1]


def test_without_a_champion_it_has_to_beat_a_dummy(here: World) -> None:
    here.recipe(algorithms=["xgboost"])
    here.ready()
    assert here.candidates_end("flights-v1", {"xgboost": 0.49}).passed is False


def test_an_unknown_metric_fails_it_naming_those_there_are(here: World) -> None:
    here.recipe(algorithms=["xgboost"], gate={"metric": "gini"})
    here.ready()
    ended = here.candidates_end("flights-v1", AUC)
    assert (ended.status, ended.error, names(ended, "FAILED")) == ("FAILED", "Invalid", ["Evaluate"])
    assert "'gini' is none of the evaluation's: auc" in (ended.cause or "")


# ---- approval


def test_what_passes_is_approved_and_deployed_where_the_recipe_says_so(here: World) -> None:
    ended = after_a_champion(here, 0.75, gate={"auto_approve": True, "deploy": True})
    version = here.platform.registry.get("flights:2")
    assert (version.approval_status, version.decisions[-1].by) == ("Approved", "platform")
    assert "flights-v2" in version.decisions[-1].comment
    here.host.loaded("flights")
    here.tell("endpoint", "flights")
    assert here.platform.registry.get("flights:champion").version == "flights:2"
    assert "approved and deployed" in (ended.approval or "")


def test_what_does_not_pass_is_not_approved(here: World) -> None:
    after_a_champion(here, 0.65, gate={"auto_approve": True, "deploy": True})
    assert here.platform.registry.get("flights:2").approval_status == "PendingManualApproval"


def test_a_second_approver_is_a_person(tmp_path) -> None:
    with world(tmp_path, second_approver=True) as here:
        here.recipe(algorithms=["xgboost"], gate={"auto_approve": True})
        here.ready()
        ended = here.candidates_end("flights-v1", AUC)
        assert "only a person approves" in (ended.approval or "")
        assert here.platform.registry.get("flights:1").approval_status == "PendingManualApproval"
        here.platform.registry.approve(BOB, "flights:1", Approve(), None)


def test_a_step_that_runs_twice_approves_once(here: World) -> None:
    after_a_champion(here, 0.75, gate={"auto_approve": True, "deploy": True})
    steps = here.platform.pipelines.steps
    assert steps.register("flights-v2") == steps.register("flights-v2")
    assert len(here.platform.registry.get("flights:2").decisions) == 1


def test_what_a_person_rejected_meanwhile_stays_so(here: World) -> None:
    here.recipe(algorithms=["xgboost"])
    here.ready()
    here.candidates_end("flights-v1", AUC)
    here.platform.registry.reject(ANN, "flights:1", Reject(), None)
    execution = here.records.get("pipeline-execution", "flights-v1")
    recipe = execution.data["recipe"] | {"gate": {"auto_approve": True}}
    here.records.put(replace(execution, data=execution.data | {"recipe": recipe}))
    outcome = here.platform.pipelines.steps.register("flights-v1")["approval"]
    assert "was rejected by a person" in outcome
    assert here.platform.registry.get("flights:1").approval_status == "Rejected"


# ---- by hand


def test_a_version_is_trained_once_more_by_hand(here: World) -> None:
    here.ready()
    with pytest.raises(NotFound, match="mlops data recipe set flights"):
        here.platform.pipelines.start(ANN, StartPipeline(dataset="flights:1"), None)
    here.recipe(algorithms=["xgboost"])
    with pytest.raises(NotFound):
        here.platform.pipelines.start(ANN, StartPipeline(dataset="flights:newest"), None)
    started = here.platform.pipelines.start(BOB, StartPipeline(dataset="flights:latest"), "k")
    assert (started.execution, started.dataset, started.created_by) == ("flights-v1-2", "flights:1", "bob")
    assert here.platform.pipelines.start(BOB, StartPipeline(dataset="flights:latest"), "k").execution == "flights-v1-2"
    with pytest.raises(Conflict, match="mlops pipelines watch flights-v1-2"):
        here.platform.pipelines.start(ANN, StartPipeline(dataset="flights:1"), None)
    assert here.candidates_end("flights-v1-2", AUC).status == "SUCCEEDED"
    again = here.platform.pipelines.start(ANN, StartPipeline(dataset="flights:1"), None)
    assert again.execution == "flights-v1-3"
    assert here.processing.starts == {"flights-v1": 1}


def test_only_ready_versions_are_trained(here: World) -> None:
    here.recipe()
    here.uploaded()
    with pytest.raises(Conflict, match="Validating"):
        here.platform.pipelines.start(ANN, StartPipeline(dataset="flights:1"), None)


def test_stop_ends_it_with_its_jobs(here: World) -> None:
    here.recipe()
    here.ready()
    stopped = here.platform.pipelines.stop(BOB, "flights-v1")
    assert (stopped.status, stopped.cause) == ("ABORTED", "Stopped by bob.")
    assert here.training.stops == {candidate.job: 1 for candidate in stopped.candidates}
    for candidate in stopped.candidates:
        here.training.end(candidate.job, "Stopped")
        here.tell("training", candidate.job)
    after = here.execution()
    assert {each.status for each in after.candidates} == {"Stopped"}
    with pytest.raises(Conflict, match="ABORTED and cannot stop; possible now: retry") as refused:
        here.platform.pipelines.stop(BOB, "flights-v1")
    assert refused.value.extra == {"status_now": "ABORTED", "allowed": ["retry"]}


def test_stop_while_a_table_is_validated_leaves_no_version_without_a_verdict(here: World) -> None:
    here.uploaded()
    here.platform.pipelines.stop(ANN, "flights-v1")
    assert here.processing.stops == {"flights-v1": 1}
    found = here.platform.datasets.get("flights:1")
    assert (found.status, "ABORTED" in (found.failure_reason or "")) == ("Rejected", True)


def test_what_was_stopped_with_all_its_jobs_is_started_anew(here: World) -> None:
    here.recipe()
    here.ready()
    for candidate in here.platform.pipelines.stop(ANN, "flights-v1").candidates:
        here.training.end(candidate.job, "Stopped")
        here.tell("training", candidate.job)
    with pytest.raises(Conflict, match="mlops pipelines start flights:1"):
        here.platform.pipelines.retry(ANN, "flights-v1")
    assert here.platform.pipelines.start(ANN, StartPipeline(dataset="flights:1"), None).execution == "flights-v1-2"


def test_a_repeat_with_the_same_key_is_no_conflict(here: World) -> None:
    """A client repeats a call whose answer was lost."""
    here.recipe(target="lat")
    here.ready()
    here.recipe()
    retried = [here.platform.pipelines.retry(ANN, "flights-v1", "k") for _ in range(2)]
    assert [each.status for each in retried] == ["RUNNING", "RUNNING"]
    assert here.records.get("pipeline-execution", "flights-v1").data["retries"] == 1
    stopped = [here.platform.pipelines.stop(ANN, "flights-v1", "k") for _ in range(2)]
    assert [each.status for each in stopped] == ["ABORTED", "ABORTED"]
    with pytest.raises(Conflict):
        here.platform.pipelines.stop(ANN, "flights-v1", "another")


def test_the_dashboard_counts_them_and_shows_what_failed(here: World) -> None:
    here.recipe(target="lat")
    here.ready()
    refuse(here, here.uploaded("wines"))
    here.uploaded("penguins")
    stats = here.platform.dashboard.stats()
    assert (stats.counts["pipelines"].value, stats.counts["pipelines_running"].value) == (3, 1)
    shown = {(each.kind, each.id, each.path) for each in stats.needs_attention}
    assert shown == {
        ("failed_pipeline", "flights-v1", "/pipelines/flights-v1"),
        ("rejected_dataset", "wines:1", "/datasets/wines:1/quality"),
    }
    here.recipe()
    here.platform.pipelines.retry(ANN, "flights-v1")
    here.candidates_end("flights-v1", AUC)
    left = {each.kind for each in here.platform.dashboard.stats().needs_attention}
    assert "failed_pipeline" not in left


def test_what_runs_or_ended_well_is_not_retried(here: World) -> None:
    here.uploaded()
    with pytest.raises(Conflict, match="RUNNING and cannot retry; possible now: stop"):
        here.platform.pipelines.retry(ANN, "flights-v1")
    here.ready("penguins")
    with pytest.raises(Conflict, match="nothing is left to do"):
        here.platform.pipelines.retry(ANN, "penguins-v1")


# ---- what crashes leave


def test_an_execution_that_was_recorded_but_not_begun_is_begun_by_reconcile(here: World, monkeypatch) -> None:
    def busy(*_: object) -> None:
        raise Unavailable("no room")

    with monkeypatch.context() as patch:
        patch.setattr(here.pipelines, "start", busy)
        here.uploaded()
    assert here.processing.starts == {}
    assert names(here.execution(), "PENDING") == list(STEPS)
    here.platform.reconcile()
    assert here.processing.starts == {"flights-v1": 1}


def test_an_end_whose_event_was_lost_is_settled_by_reconcile(here: World, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(here.pipelines, "_tell", None)
        here.ready()
    assert here.execution().status == "RUNNING"
    here.platform.reconcile()
    assert here.execution().status == "SUCCEEDED"


def test_a_version_without_an_execution_gets_one(here: World) -> None:
    """As one has that was being validated when the platform learnt of pipelines."""
    here.uploaded()
    here.records.delete("pipeline-execution", "flights-v1")
    here.records.delete("pipeline-run", "flights-v1")
    here.platform.reconcile()
    here.processing.complete("flights-v1", a_report(), a_profile(), a_preview())
    here.tell("processing", "flights-v1")
    assert here.execution().status == "SUCCEEDED"


def test_jobs_of_a_pipeline_are_begun_by_it_alone(here: World) -> None:
    """Two that began one job would get in each other's way on AWS."""
    here.training.lost = Unavailable("no room")
    here.recipe()
    here.ready()
    here.training.lost = None
    here.platform.training.reconcile()
    assert here.training.starts == {}
    here.platform.pipelines.reconcile()
    assert len(here.training.starts) == 3


def test_a_job_that_was_never_begun_is_stopped_without_being_begun(here: World) -> None:
    here.training.lost = Unavailable("no room")
    here.recipe()
    here.ready()
    stopped = here.platform.pipelines.stop(ANN, "flights-v1")
    assert {each.status for each in stopped.candidates} == {"Stopped"}
    here.training.lost = None
    here.platform.reconcile()
    assert here.training.starts == {}
