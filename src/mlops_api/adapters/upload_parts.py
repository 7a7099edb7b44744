"""How a file is cut into parts, and what completes an upload, so that adapters agree on it."""

from collections.abc import Mapping, Sequence

from mlops_api.domain.errors import Conflict, NotFound

MEBIBYTE = 1 << 20
_SHOWN = 20


def part_size_for(size: int, *, usual: int, most_parts: int) -> int:
    """Bytes a part for a file of `size`: `usual`, or the whole mebibytes that make no more than `most_parts`."""
    least = -(-size // most_parts)
    return usual if least <= usual else -(-least // MEBIBYTE) * MEBIBYTE


def part_count(size: int, part_size: int) -> int:
    """An empty file has one empty part."""
    return max(1, -(-size // part_size))


def part_length(size: int, part_size: int, part: int) -> int:
    return min(part_size, size - (part - 1) * part_size)


def check_parts(count: int, arrived: Mapping[int, str], named: Sequence[tuple[int, str]]) -> None:
    """Raises Conflict unless exactly the parts 1..count have arrived, and were named with their etags.

    `arrived`: etags without quotes; `named`: with or without.
    """
    etags = {number: etag.strip('"') for number, etag in named}
    wanted = range(1, count + 1)
    missing = [number for number in wanted if number not in arrived or number not in etags]
    unknown = sorted(set(etags) - set(wanted))
    differing = [number for number in wanted if number not in missing and etags[number] != arrived[number]]
    if missing or unknown or differing:
        raise _incomplete(missing, differing, unknown)


def upload_gone(upload_id: str) -> NotFound:
    return NotFound(
        "There is no such upload: it was completed, aborted or swept. Start a new one.", upload_id=upload_id[:64]
    )


def _incomplete(missing: list[int], differing: list[int], unknown: list[int]) -> Conflict:
    complaints = {"missing": missing, "with another etag": differing, "not of this upload": unknown}
    text = "; ".join(f"{what}: {_shown(numbers)}" for what, numbers in complaints.items() if numbers)
    return Conflict(
        f"The upload is not complete. Parts {text}. Send those parts again, then complete it.",
        missing_parts=missing,
        differing_parts=differing,
        unknown_parts=unknown,
    )


def _shown(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + (f" and {len(numbers) - _SHOWN} more" if numbers[_SHOWN:] else "")
