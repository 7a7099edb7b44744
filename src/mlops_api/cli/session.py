"""What every command shares: its common options, the client, and where it writes."""

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_api.cli.output import Format, Printer

if TYPE_CHECKING:
    from mlops_api.client import MLOps


@dataclass
class Session:
    format: Format
    url: str | None = None
    token: str | None = None
    data_dir: Path | None = None
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    @cached_property
    def client(self) -> "MLOps":
        """Made when first used: raises Unreachable when nothing says where the server is."""
        from mlops_api.client import MLOps

        return MLOps(self.url, self.token, self.data_dir)

    @property
    def json(self) -> bool:
        return self.format == "json"

    @property
    def printer(self) -> Printer:
        return Printer(sys.stdout, no_color=self.no_color)

    @property
    def shows_progress(self) -> bool:
        """Live progress belongs on a terminal only."""
        return sys.stderr.isatty() and not (self.quiet or self.json)

    def say(self, text: str) -> None:
        """To stderr: what is not the command's data."""
        if not (self.quiet or self.json):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()
