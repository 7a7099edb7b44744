"""A registry outside that shows what it is told, and where a test decides as a person would.

Its references are the versions' own ids.
"""

import threading
from dataclasses import replace

from mlops_api.domain.models import ApprovalStatus
from mlops_api.ports import MirroredVersion, OutsideVersion


class ManualMirror:
    """As ports.ModelMirror promises."""

    def __init__(self) -> None:
        self._versions: dict[str, OutsideVersion] = {}
        self._lock = threading.Lock()

    def show(self, version: MirroredVersion) -> None:
        with self._lock:
            if version.approval_status == "PendingManualApproval" and version.version in self._versions:
                return
            shown = OutsideVersion(version.version, version.approval_status, "", version.comment)
            self._versions[version.version] = shown

    def read(self, reference: str) -> OutsideVersion | None:
        with self._lock:
            return self._versions.get(reference)

    def decide(self, reference: str, status: ApprovalStatus, by: str) -> None:
        with self._lock:
            self._versions[reference] = replace(self._versions[reference], approval_status=status, by=by)
