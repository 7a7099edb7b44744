"""resourceconfig.json: the hosts of the job, and which of them this is."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.failure import JobError

PORT: Final = 7777
"""Of the first host, where the others report; SageMaker lets the hosts of a job reach each other on every port."""
COORDINATOR: Final = "MLOPS_COORDINATOR"
"""Variable with address:port of the first host, where its name and PORT will not do: hosts on one machine."""


@dataclass(frozen=True)
class Place:
    """`hosts` is sorted; a host's rank is its place there, the same on every host and in every attempt."""

    current: str
    hosts: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Place":
        """From resourceconfig.json; without the file the host is alone. Raises JobError for what is none."""
        try:
            return cls._of(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return cls("algo-1", ("algo-1",))
        except (ValueError, KeyError, TypeError) as error:
            raise JobError(f"{path.name} does not name current_host and hosts: {error!r}.") from error

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> "Place":
        current, hosts = str(content["current_host"]), tuple(sorted(map(str, content["hosts"])))
        if current not in hosts or len(set(hosts)) != len(hosts):
            raise ValueError(f"{current} among {', '.join(hosts)}")
        return cls(current, hosts)

    @property
    def rank(self) -> int:
        return self.hosts.index(self.current)

    @property
    def size(self) -> int:
        return len(self.hosts)

    @property
    def first(self) -> bool:
        """Whether this host speaks for the job: it writes the model. SageMaker merges the model folders of all."""
        return self.rank == 0

    def coordinator(self) -> tuple[str, int]:
        """Address and port where the hosts meet. Raises JobError."""
        given = os.environ.get(COORDINATOR)
        if not given:
            return self.hosts[0], PORT
        address, _, port = given.rpartition(":")
        if not address or not port.isdigit():
            raise JobError(f"{COORDINATOR} is {given!r}; it must be address:port.")
        return address, int(port)
