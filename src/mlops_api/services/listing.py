"""Which index answers a list that may be narrowed to a group and a status, or ranked by a metric."""

from mlops_api.domain.errors import Invalid
from mlops_api.ports import Index


def listed(all_: str, group: str | None, status: str | None, *, ranked: str | None = None) -> tuple[Index, str]:
    """(index, partition). `ranked`: what a ranking is of, in words; None: by time.

    Raises Invalid for a ranking that is not of one group's, or narrowed to a status.
    """
    if ranked is not None:
        if group is None or status is not None:
            raise Invalid(f"sort=metric ranks the {ranked} of one model: give model, leave out the status.")
        return "rank", f"{all_}/{group}"
    if group is not None:
        return ("group_status", f"{all_}/{group}/{status}") if status else ("group", f"{all_}/{group}")
    return ("status", f"{all_}/{status}") if status else ("all", all_)
