"""The app over real records and files, called in this process."""

from collections.abc import Iterator

import pytest

from tests.support.platform import World
from tests.support.web import Web, web


@pytest.fixture
def site(here: World) -> Iterator[Web]:
    with web(here.app()) as opened:
        yield opened
