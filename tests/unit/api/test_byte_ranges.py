"""RFC 9110, section 14."""

import pytest

from mlops_api.adapters.local.byte_ranges import ByteRange, Unsatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "start", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=3-", 3, 7),
        ("bytes=9-9", 9, 1),
        ("bytes=4-99", 4, 6),
        ("bytes=-3", 7, 3),
        ("bytes=-99", 0, 10),
        (" Bytes = 1 - 2 ", 1, 2),
    ],
)
def test_one_range(header: str, start: int, length: int) -> None:
    assert parse_range(header, 10) == ByteRange(start, length)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-3",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=--1",
        "bytes=\u0661-2",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_makes_no_sense_is_the_whole(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=10-5", 10), ("bytes=-0", 10), ("bytes=-1", 0)])
def test_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)
