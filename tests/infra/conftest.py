"""The platform over real records and files, with runners the test moves by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import World, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as opened:
        yield opened
