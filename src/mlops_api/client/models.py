"""`client.models`: versions, their evaluation, approval and aliases."""

import os
from pathlib import Path
from typing import Literal

from mlops_api.client import calls, downloads
from mlops_api.client.effects import Flow, Items
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.domain.models import (
    ApprovalStatus,
    Approve,
    Card,
    Comparison,
    DownloadUrl,
    Lineage,
    ModelVersion,
    ModelVersionPage,
    ModelVersionSummary,
    Reject,
    Rollback,
    SetAlias,
)
from mlops_contracts.evaluation import Evaluation


class Models(Resource[M]):
    """A version is `flights:3` or, by alias, `flights:champion`."""

    @listing
    def list(
        self,
        *,
        model: str | None = None,
        approval_status: ApprovalStatus | None = None,
        sort: Literal["created_at", "metric"] | None = None,
        order: Literal["asc", "desc"] | None = None,
        page_size: int | None = None,
    ) -> Items[ModelVersionSummary]:
        """All versions, newest first; sort="metric" ranks the versions of one model."""
        return calls.pages(
            "/models",
            ModelVersionPage,
            lambda page: page.models,
            page_size=page_size,
            model=model,
            approval_status=approval_status,
            sort=sort,
            order=order,
        )

    @operation
    def get(self, version: str) -> Flow[ModelVersion]:
        """Raises NotFound."""
        return _get(version)

    @operation
    def evaluation(self, version: str) -> Flow[Evaluation]:
        return calls.get(calls.path("models", version, "evaluation"), Evaluation)

    @operation
    def lineage(self, version: str) -> Flow[Lineage]:
        return calls.get(calls.path("models", version, "lineage"), Lineage)

    @operation
    def card(self, version: str) -> Flow[Card]:
        return calls.get(calls.path("models", version, "card"), Card)

    @operation
    def compare(self, version: str, other: str) -> Flow[Comparison]:
        """`version` is left, `other` right; `change` is right - left."""
        return calls.get(calls.path("models", version, "compare"), Comparison, **{"with": other})

    @operation
    def download(
        self,
        version: str,
        to: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        progress: downloads.Progress | None = None,
    ) -> Flow[Path]:
        """The bundle, a tar.gz, verified; `to` is a file or a folder. Raises Conflict when it exists."""
        found = yield from _get(version)
        target = downloads.target_path(to, f"{found.model}-{found.number}.tar.gz", overwrite=overwrite)
        url = yield from calls.get(calls.path("models", found.version, "bundle"), DownloadUrl)
        return (yield from downloads.download(url, target, progress))

    @operation
    def approve(self, version: str, *, comment: str = "", deploy: bool = False) -> Flow[ModelVersion]:
        """With `deploy` it becomes champion and its model's endpoint begins to serve it.

        Raises Conflict naming the status and what is allowed from it.
        """
        body = calls.checked(Approve, {"comment": comment, "deploy": deploy})
        return calls.write("PUT", calls.path("models", version, "approve"), ModelVersion, body)

    @operation
    def reject(self, version: str, *, comment: str = "") -> Flow[ModelVersion]:
        """Raises Conflict naming the status and what is allowed from it."""
        body = calls.checked(Reject, {"comment": comment})
        return calls.write("PUT", calls.path("models", version, "reject"), ModelVersion, body)

    @operation
    def rollback(self, model: str, *, comment: str = "") -> Flow[ModelVersion]:
        """Champion goes back to the approved version before. Raises Conflict when there is none."""
        body = calls.checked(Rollback, {"comment": comment})
        return calls.write("POST", calls.path("models", model, "rollback"), ModelVersion, body)

    @operation
    def set_alias(self, model: str, alias: str, version: str, *, comment: str = "") -> Flow[ModelVersion]:
        body = calls.checked(SetAlias, {"version": version, "comment": comment})
        return calls.write("PUT", calls.path("models", model, "aliases", alias), ModelVersion, body)

    @operation
    def delete_alias(self, model: str, alias: str) -> Flow[None]:
        return calls.delete(calls.path("models", model, "aliases", alias))


def _get(version: str) -> Flow[ModelVersion]:
    return calls.get(calls.path("models", version), ModelVersion)
