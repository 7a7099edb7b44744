"""The record of an endpoint."""

from collections.abc import Mapping

from mlops_api.domain.inference import Endpoint, Variant
from mlops_api.domain.names import version_id
from mlops_api.ports import Index, Place, RecordStore
from mlops_api.services.collection import Collection
from mlops_api.services.tally import LONGEST_MESSAGE, Card, Tally

ENDPOINTS = "endpoint"
PATH = "/inference/endpoints"
SECTION = "1-endpoint"
"""Of cards."""


class StoredEndpoint(Endpoint):
    """The record: the endpoint and the champion change that waits for the pending deployment.

    `seen`: EndpointState.changed_at of the last failure that the host may still tell of and that is not of the pending
    deployment; empty: it has none to tell of; None: not known.
    """

    seen: str | None = None
    promote: int | None = None
    rollback: bool = False

    @property
    def versions(self) -> set[str]:
        """What serves or will."""
        return {variant.model_version for variant in (*self.variants, *self.pending)}


def endpoint_collection(records: RecordStore) -> Collection[StoredEndpoint]:
    def places(endpoint: StoredEndpoint) -> Mapping[Index, Place]:
        failed = "Failed" if endpoint.failure_reason else endpoint.status
        return {
            "all": Place(ENDPOINTS, endpoint.created_at),
            "status": Place(f"{ENDPOINTS}/{failed}", endpoint.updated_at),
        }

    return Collection(
        records,
        "endpoint",
        StoredEndpoint,
        what="endpoint",
        key=lambda endpoint: endpoint.endpoint,
        places=places,
        tally=Tally(lambda _: {"endpoints": 1}, _card),
    )


def _card(endpoint: StoredEndpoint) -> Card:
    reason = endpoint.failure_reason
    shown = {
        "endpoint": endpoint.endpoint,
        "status": endpoint.status,
        "failure_reason": reason[:LONGEST_MESSAGE] if reason else None,
        "updated_at": endpoint.updated_at,
    }
    return Card("now", f"{SECTION}/{endpoint.endpoint}", shown)


def variant_name(number: int) -> str:
    return f"v{number}"


def single(model: str, number: int) -> list[Variant]:
    """One version taking all the traffic."""
    return [Variant(variant=variant_name(number), model_version=version_id(model, number), weight=1.0)]


def visible(endpoint: Endpoint) -> Endpoint:
    return Endpoint.model_validate(endpoint.model_dump())
