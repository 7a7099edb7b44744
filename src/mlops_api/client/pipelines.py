"""`client.pipelines`: the executions that uploads start."""

from collections.abc import Callable

from mlops_api.client import calls
from mlops_api.client.effects import Flow, Items
from mlops_api.client.errors import JobFailed
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.domain.pipelines import (
    ENDED,
    Execution,
    ExecutionPage,
    ExecutionStatus,
    ExecutionSummary,
    StartPipeline,
)


class Pipelines(Resource[M]):
    @listing
    def list(
        self,
        *,
        dataset: str | None = None,
        status: ExecutionStatus | None = None,
        page_size: int | None = None,
    ) -> Items[ExecutionSummary]:
        """All executions, newest first; `dataset` is a name, such as flights."""
        return calls.pages(
            "/pipelines",
            ExecutionPage,
            lambda page: page.executions,
            page_size=page_size,
            dataset=dataset,
            status=status,
        )

    @operation
    def get(self, execution: str) -> Flow[Execution]:
        """Its steps, candidates and comparison. That of an upload is named `flights-v2`. Raises NotFound."""
        return _get(execution)

    @operation
    def start(self, dataset: str) -> Flow[Execution]:
        """Train a Ready version, such as flights:2, once more, with the dataset's recipe as it is now.

        Raises NotFound when there is no recipe, Conflict when the version is not Ready or in an execution already.
        """
        return calls.write("POST", "/pipelines/start", Execution, calls.checked(StartPipeline, {"dataset": dataset}))

    @operation
    def stop(self, execution: str) -> Flow[Execution]:
        """End it, and the jobs it has under way. Raises Conflict when it has ended."""
        return calls.write("POST", calls.path("pipelines", execution, "stop"), Execution)

    @operation
    def retry(self, execution: str) -> Flow[Execution]:
        """Go on from the step that failed. Raises Conflict when there is none, or when it would only fail again."""
        return calls.write("POST", calls.path("pipelines", execution, "retry"), Execution)

    @operation
    def wait(
        self, execution: str, *, timeout: float | None = None, progress: Callable[[Execution], None] | None = None
    ) -> Flow[Execution]:
        """Until it has ended.

        Raises:
            JobFailed: it ended FAILED, TIMED_OUT or ABORTED; `job` is the execution.
            Timeout: after `timeout` seconds; the execution goes on.
        """
        ended = yield from calls.poll(lambda: _seen(execution, progress), _has_ended, execution, timeout)
        if ended.status != "SUCCEEDED":
            raise JobFailed(f"{execution} is {ended.status}: {ended.error or ''} {ended.cause or ''}".strip(), ended)
        return ended


def _get(execution: str) -> Flow[Execution]:
    return calls.get(calls.path("pipelines", execution), Execution)


def _seen(execution: str, progress: Callable[[Execution], None] | None) -> Flow[Execution]:
    found = yield from _get(execution)
    if progress is not None:
        progress(found)
    return found


def _has_ended(found: Execution) -> bool:
    return found.status in ENDED
