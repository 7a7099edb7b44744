"""Model versions shown in a registry outside (SageMaker's, on AWS), and decisions taken there.

A version remembers what was last shown of it (`mirrored`) and whether that is behind (`mirror_due`). So our own change,
coming back as an event, is told from somebody's decision, however late and often events come:

    due, outside as here         our own echo: it is shown, and no longer due
    due, otherwise               what we decided is not seen there yet: it wins, and is shown again
    outside == mirrored          a late echo of ours
    outside != mirrored          somebody decided there: it goes through the same gates as a decision here
"""

import logging
from collections.abc import Callable
from contextlib import suppress

from mlops_api.domain.errors import PlatformError, RevisionMismatch
from mlops_api.domain.models import ApprovalStatus
from mlops_api.ports import Delete, MirroredVersion, ModelMirror, OutsideVersion, RecordStore, Write
from mlops_api.services.collection import Stored
from mlops_api.services.model_records import (
    MIRROR_DUE,
    MirrorDue,
    StoredVersion,
    mirror_due_collection,
    version_collection,
)
from mlops_api.services.repair import each
from mlops_contracts.bundle import EVALUATION

_log = logging.getLogger(__name__)

Decide = Callable[[OutsideVersion], object]


class ModelMirroring:
    """`mirror` None: there is no registry outside, and nothing here does anything."""

    def __init__(self, records: RecordStore, mirror: ModelMirror | None) -> None:
        self._records = records
        self._versions = version_collection(records)
        self._notes = mirror_due_collection(records)
        self._mirror = mirror

    @property
    def active(self) -> bool:
        return self._mirror is not None

    def show(self, version: StoredVersion) -> None:
        """Show what was just written here. It stays due until its echo is heard, which spares the request a write.
        What fails is logged; `reconcile` tries again."""
        if self._mirror is None or not version.mirror_due:
            return
        try:
            self._mirror.show(_mirrored(version))
        except PlatformError as error:
            _log.warning("%s is not shown outside yet: %s", version.version, error.detail)

    def due(self, before: StoredVersion | None, after: Stored[StoredVersion]) -> list[Write]:
        """The writes of a version, and of the note that it is to be shown, or is shown. `before`: None, if new."""
        was, now = before is not None and before.mirror_due, after.value.mirror_due
        note = Stored(MirrorDue(version=after.value.version), 0)
        writes: list[Write] = [self._versions.to_put(after)]
        if now and not was:
            writes.append(self._notes.to_put(note))
        if was and not now:
            writes.append(Delete(MIRROR_DUE, after.value.version))
        return writes

    def reconcile(self) -> None:
        """Show whatever is not shown yet."""
        if self._mirror is not None:
            each([note.version for note in self._notes.every("all", MIRROR_DUE)], self._push)

    def react(self, reference: str, decide: Decide) -> None:
        """To an event from outside. `decide` takes the decision here and raises PlatformError when it may not be."""
        outside = self._mirror.read(reference) if self._mirror is not None else None
        stored = self._versions.find(outside.version) if outside is not None else None
        if outside is None or stored is None:
            return
        here, there = stored.value.approval_status, outside.approval_status
        if stored.value.mirror_due and there == here:
            self._save(stored, mirrored=_kept(stored.value), due=False)
        elif stored.value.mirror_due and here != "PendingManualApproval":
            self._push(outside.version)
        elif there not in (here, stored.value.mirrored, "PendingManualApproval"):
            self._take(outside, decide)

    def _take(self, outside: OutsideVersion, decide: Decide) -> None:
        try:
            decide(outside)
        except PlatformError as error:
            if error.status >= 500:
                raise
            _log.warning("%s stays as it is, not %s: %s", outside.version, outside.approval_status, error.detail)
            self._refuse(outside)

    def _refuse(self, outside: OutsideVersion) -> None:
        """Remember what was seen, so that the same event changes nothing again, and show what holds."""
        stored = self._versions.get(outside.version)
        self._save(stored, mirrored=outside.approval_status, due=True)
        self._push(outside.version)

    def _push(self, version: str) -> None:
        stored = self._versions.find(version)
        if self._mirror is None or stored is None or not stored.value.mirror_due:
            return
        self._mirror.show(_mirrored(stored.value))
        self._save(stored, mirrored=_kept(stored.value), due=False)

    def _save(self, stored: Stored[StoredVersion], *, mirrored: ApprovalStatus, due: bool) -> None:
        with suppress(RevisionMismatch):  # decided upon meanwhile: it is due again, and pushed by who decided
            changed = stored.value.model_copy(update={"mirrored": mirrored, "mirror_due": due})
            self._records.write(self.due(stored.value, stored.with_value(changed)))


def _kept(version: StoredVersion) -> ApprovalStatus:
    """What to remember as shown. Where a decision was refused while ours is pending, theirs goes on being shown."""
    shown = version.approval_status
    return version.mirrored if shown == "PendingManualApproval" and version.mirrored else shown


def _mirrored(version: StoredVersion) -> MirroredVersion:
    return MirroredVersion(
        version=version.version,
        model=version.model,
        number=version.number,
        bundle_key=version.bundle_key,
        evaluation_key=f"{version.report_prefix}/{EVALUATION}",
        approval_status=version.approval_status,
        comment=version.decisions[-1].comment if version.decisions else "",
    )
