"""Who did what. An entry is written in the same all-or-nothing write as the change it tells of."""

import secrets
import time
from datetime import timedelta

import anyio
import anyio.to_thread

from mlops_api.domain.dashboard import Activity, ActivityPage
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Place, Put, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.principal import Principal

_KEPT = timedelta(days=400)
_ALL = "activity"
_POLL_SECONDS = 0.25


class ActivityLog:
    def __init__(self, records: RecordStore, clock: Clock) -> None:
        self._clock = clock
        self._entries = Collection(
            records,
            "activity",
            Activity,
            what="activity",
            key=lambda entry: entry.id,
            places=lambda entry: {"all": Place(_ALL, entry.id)},
        )

    def entry(self, by: Principal, action: str, subject: str, *, detail: str = "", path: str | None = None) -> Put:
        """The write to add to the change's own."""
        now = self._clock()
        at = rfc3339(now)
        entry = Activity(
            id=f"{at}-{secrets.token_hex(4)}",
            at=at,
            by=by.name,
            action=action,
            subject=subject,
            detail=detail[:500],
            path=path,
        )
        return self._entries.to_put(Stored(entry, 0), expires_at=int((now + _KEPT).timestamp()))

    def page(self, *, after: str | None, limit: int, token: str | None) -> ActivityPage:
        """Newest first; with `after` (an entry's id) the newer ones, oldest first."""
        page = self._entries.page("all", _ALL, descending=after is None, limit=limit, token=token, after=after)
        return ActivityPage(activity=list(page.values), next_token=page.next_token)

    async def wait_for_page(self, *, after: str | None, wait: float, limit: int, token: str | None) -> ActivityPage:
        """As page, but while there is nothing newer than `after`, wait up to `wait` seconds (no thread is held)."""
        deadline = time.monotonic() + wait
        while True:
            page = await anyio.to_thread.run_sync(lambda: self.page(after=after, limit=limit, token=token))
            if page.activity or after is None or time.monotonic() >= deadline:
                return page
            await anyio.sleep(_POLL_SECONDS)
