"""A receiver of notices that a test can read and switch off."""

from mlops_api.adapters.notice_rules import check_notice
from mlops_api.domain.errors import Unavailable
from mlops_api.ports import Notice, Receipt


class ManualNotifier:
    """Keeps the promise of the port: what it does not take raises Unavailable."""

    def __init__(self) -> None:
        self.taken: list[Notice] = []
        self.down = False

    def send(self, notice: Notice) -> Receipt:
        check_notice(notice)
        if self.down:
            raise Unavailable("The receiver is down.")
        self.taken.append(notice)
        return Receipt("manual", f"number {len(self.taken)}")
