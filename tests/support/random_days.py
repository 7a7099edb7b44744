"""Random days on a platform: everything that can happen to its things, in any order, refusals included."""

import random
from collections.abc import Callable, Sequence

from mlops_api.domain.errors import NotFound, PlatformError
from mlops_api.domain.inference import PutEndpoint
from mlops_api.domain.models import Approve, Reject, Rollback, SetAlias
from mlops_contracts.dataset import Finding
from tests.support.platform import ANN, World, a_manifest, a_report, an_evaluation, processing_job

_NAMES = ("flights", "wines")
_OFTEN = {"do_start_training", "do_complete_training", "do_approve", "do_end_a_deployment"}
"""What the rest needs to have happened."""


class RandomDays:
    """`done`: how often each thing was done and not refused."""

    def __init__(self, here: World, seed: int, *, without: Sequence[str] = ()) -> None:
        self._here = here
        self._without = without
        self._random = random.Random(seed)  # noqa: S311 - a test that can be repeated
        self.done: dict[str, int] = {}

    def pass_by(self, steps: int) -> None:
        names = [name for name in sorted(dir(self)) if name.startswith("do_") and name not in self._without]
        for name in self._random.choices(names, [5 if name in _OFTEN else 1 for name in names], k=steps):
            self._try(getattr(self, name))

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except PlatformError as error:
            if error.status >= 500:
                raise
            return
        self.done[action.__name__] = self.done.get(action.__name__, 0) + 1

    # ---- datasets

    def do_create_a_dataset(self) -> None:
        self._here.create(self._name())

    def do_get_a_dataset_ready(self) -> None:
        self._here.ready(self._name())

    def do_reject_a_dataset(self) -> None:
        version = self._here.uploaded(self._name())
        report = a_report((), Finding(code="x", message="y", row=1))
        self._here.processing.complete(processing_job(version), report)
        self._here.tell("processing", processing_job(version))

    def do_delete_a_dataset(self) -> None:
        self._here.platform.datasets.delete(ANN, self._one_of("dataset"))

    def do_sweep(self) -> None:
        self._here.clock.pass_time(hours=self._random.choice([1, 30, 60]))
        self._here.platform.datasets.sweep()

    # ---- training and models

    def do_start_training(self) -> None:
        self._here.start(f"{self._name()}:latest", model=self._name())

    def do_complete_training(self) -> None:
        job = self._one_of("training-job")
        manifest = a_manifest(metrics={"auc": self._random.random()})
        self._here.training.complete(job, manifest, an_evaluation(manifest))
        self._here.tell("training", job)

    def do_fail_training(self) -> None:
        job = self._one_of("training-job")
        self._here.training.end(job, "Failed", "no")
        self._here.tell("training", job)

    def do_stop_training(self) -> None:
        self._here.platform.training.stop(ANN, self._one_of("training-job"))

    def do_approve(self) -> None:
        deploy = self._random.random() < 0.7
        self._here.platform.registry.approve(ANN, self._one_of("model-version"), Approve(deploy=deploy), None)

    def do_reject(self) -> None:
        self._here.platform.registry.reject(ANN, self._one_of("model-version"), Reject())

    def do_roll_back(self) -> None:
        self._here.platform.registry.rollback(ANN, self._name(), Rollback())

    def do_crown(self) -> None:
        version = self._one_of("model-version")
        self._here.platform.registry.set_alias(ANN, version.partition(":")[0], "champion", SetAlias(version=version))

    # ---- endpoints and batch scoring

    def do_put_an_endpoint(self) -> None:
        version = self._one_of("model-version")
        variants = [{"variant": "a", "model_version": version, "weight": self._random.randint(1, 3)}]
        request = PutEndpoint.model_validate({"variants": variants})
        self._here.platform.endpoints.put(ANN, version.partition(":")[0], request)

    def do_end_a_deployment(self) -> None:
        name = self._name()
        if not self._here.host.describe(name).pending:
            return
        if self._random.random() < 0.7:
            self._here.host.loaded(name)
        else:
            self._here.host.failed(name, "no memory")
        self._here.tell("endpoint", name)

    def do_delete_an_endpoint(self) -> None:
        self._here.platform.endpoints.delete(ANN, self._name())

    def do_start_a_batch_job(self) -> None:
        self._here.batch(self._name(), f"{self._name()}:latest")

    def do_end_a_batch_job(self) -> None:
        job = self._one_of("transform-job")
        if self._random.random() < 0.5:
            self._here.transform.complete(job, b"row\n1\n", rows=1)
        else:
            self._here.transform.end(job, "Failed", "no")
        self._here.tell("transform", job)

    # ---- the platform

    def do_reconcile(self) -> None:
        self._here.platform.reconcile()

    def do_let_time_pass(self) -> None:
        self._here.clock.pass_time(days=self._random.choice([0.1, 1, 3]))

    def _name(self) -> str:
        return self._random.choice(_NAMES)

    def _one_of(self, kind: str) -> str:
        found = self._here.records.query("all", kind, limit=1000).records
        if not found:
            raise NotFound(f"There is no {kind} yet.")
        return self._random.choice(found).key
