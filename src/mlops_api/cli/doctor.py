"""`mlops doctor`: is everything here that the platform needs?"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from mlops_api.cli.command import Group
from mlops_api.cli.errors import FAILURE, OK, UNREACHABLE
from mlops_api.cli.output import Outcome, Printer, size
from mlops_api.cli.refusals import explained
from mlops_api.cli.session import Session

Verdict = Literal["ok", "warning", "failed"]
_ML_PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost-cpu", "pyarrow", "duckdb")
_LEAST_FREE = 1_000_000_000


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Verdict
    detail: str


def add_to(group: Group) -> None:
    group.command("doctor", examples=["doctor", "doctor --json"])(doctor)


def doctor(session: Session) -> Outcome:
    """Check versions, libraries, disk, data folder, server and token. Exit code 5 when only the server is missing."""
    from mlops_api.client.location import data_folder

    folder = data_folder(session.data_dir)
    checks = [_python(), _package(), _libraries(), _folder(folder), _disk(folder), *_server(session)]
    data = {"checks": [asdict(check) for check in checks]}
    return Outcome(data, lambda printer: _show(printer, checks), exit_code=_exit_code(checks))


def _show(printer: Printer, checks: list[Check]) -> None:
    printer.table(["check", "verdict", "detail"], [[check.name, check.verdict, check.detail] for check in checks])


def _exit_code(checks: list[Check]) -> int:
    failed = {check.name for check in checks if check.verdict == "failed"}
    if not failed:
        return OK
    return UNREACHABLE if failed == {"server"} else FAILURE


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Check("python", "ok" if good else "failed", found if good else f"{found}: 3.11 or newer is needed")


def _package() -> Check:
    found = _version("mlops-api")
    return Check("mlops-api", "ok" if found else "warning", found or "not installed as a package")


def _libraries() -> Check:
    found = {name: _version(name) for name in _ML_PACKAGES}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        detail = f"missing: {', '.join(missing)}. Install them to train and serve here: pip install 'mlops-api[ml]'"
        return Check("ML libraries", "failed", detail)
    return Check("ML libraries", "ok", ", ".join(f"{name} {number}" for name, number in found.items()))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _folder(folder: Path) -> Check:
    if not folder.exists():
        return Check("data folder", "ok", f"{folder} does not exist yet; `mlops up` makes it")
    good = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    return Check(
        "data folder", "ok" if good else "failed", str(folder) if good else f"{folder} is not a writable folder"
    )


def _disk(folder: Path) -> Check:
    existing = next(place for place in [folder.absolute(), *folder.absolute().parents] if place.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{size(free)} free at {existing}"
    return Check("disk", "ok" if free >= _LEAST_FREE else "warning", detail)


def _server(session: Session) -> Iterator[Check]:
    server = _tried(session, "server", lambda: f"{session.client.url}: {_summary(session.client.health())}")
    yield server
    if server.verdict == "ok":
        yield _tried(session, "token", lambda: f"accepted; {len(session.client.training.algorithms())} algorithms")


def _summary(health: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in health.items())


def _tried(session: Session, name: str, look: Callable[[], str]) -> Check:
    from mlops_api.client import MLOpsError, Unreachable

    try:
        return Check(name, "ok", look())
    except Unreachable as error:
        return Check("server", "failed", str(error))
    except MLOpsError as error:
        return Check(name, "failed", str(explained(session, error)))
