"""Services are made when they are first asked for, once."""

import threading
import time

from mlops_api.services.once import once
from tests.support.platform import World, at_once


class Slow:
    """Its members count how often they were made."""

    def __init__(self) -> None:
        self._making = threading.RLock()
        self.made: list[str] = []

    @once
    def first(self) -> object:
        self.made.append("first")
        time.sleep(0.02)
        return object()

    @once
    def second(self) -> tuple[object]:
        self.made.append("second")
        return (self.first,)


def test_a_member_is_made_once_also_by_threads_that_look_at_once() -> None:
    slow = Slow()
    assert slow.made == []
    found = at_once(*[lambda: slow.first, lambda: slow.second[0]] * 8)
    assert {id(value) for value in found} == {id(slow.first)}
    assert sorted(slow.made) == ["first", "second"]


def test_services_share_one_another(here: World) -> None:
    platform = here.platform
    assert "lineage" not in vars(platform)
    assert platform.lineage is platform.lineage
    assert vars(platform)["registry"] is platform.registry
    assert vars(platform)["datasets"] is platform.datasets
