"""What is durable about one endpoint.

endpoint.json   what serves and by which server, what is being deployed, whether its end was told
servers/ID/     one folder per model server (launch.py says what is in it)
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlops_api.adapters.local.durable import make_folder, remove_file, write_file
from mlops_api.ports import HostStatus, VariantSpec


@dataclass(frozen=True)
class Serving:
    """A variant and the server that answers for it; None while that is being started."""

    spec: VariantSpec
    server: str | None


@dataclass(frozen=True)
class EndpointRecord:
    """endpoint.json. `generation` counts deployments; `told` is the last one whose end was told."""

    generation: int = 0
    told: int = 0
    serving: tuple[Serving, ...] = ()
    pending: tuple[VariantSpec, ...] = ()
    failure_reason: str | None = None
    changed_at: str = ""
    deleting: bool = False

    @property
    def status(self) -> HostStatus:
        if self.deleting:
            return "Deleting"
        if self.pending:
            return "Updating" if self.serving else "Creating"
        return "InService" if self.serving else "Failed"

    @property
    def specs(self) -> tuple[VariantSpec, ...]:
        return tuple(each.spec for each in self.serving)

    def with_server(self, spec: VariantSpec, server: str) -> "EndpointRecord":
        """The same, with another server for one of the variants."""
        serving = tuple(Serving(each.spec, server) if each.spec == spec else each for each in self.serving)
        return replace(self, serving=serving)


class EndpointFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    def make(self) -> None:
        make_folder(self.path / "servers", mode=0o700)

    def server(self, server_id: str) -> Path:
        return self.path / "servers" / server_id

    def servers(self) -> Sequence[Path]:
        """Folders of all servers ever begun and not yet removed."""
        folder = self.path / "servers"
        return sorted(folder.iterdir()) if folder.exists() else []

    def write(self, record: EndpointRecord) -> None:
        write_file(self.path / "endpoint.json", json.dumps(asdict(record)).encode())

    def read(self) -> EndpointRecord | None:
        """None for an endpoint that a crash left half made or half removed."""
        try:
            data: dict[str, Any] = json.loads((self.path / "endpoint.json").read_bytes())
        except FileNotFoundError:
            return None
        data["serving"] = tuple(Serving(VariantSpec(**each["spec"]), each["server"]) for each in data["serving"])
        data["pending"] = tuple(VariantSpec(**each) for each in data["pending"])
        return EndpointRecord(**data)

    def remove(self) -> None:
        """The record goes first, so that what is left of a half removed endpoint is known as such."""
        remove_file(self.path / "endpoint.json")
        shutil.rmtree(self.path, ignore_errors=True)
