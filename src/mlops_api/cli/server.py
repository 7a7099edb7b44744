"""`mlops up` and `mlops demo`: the two commands that start a server. The rest talk to one."""

from pathlib import Path
from typing import Annotated

import typer

from mlops_api.cli.command import Group
from mlops_api.cli.output import Outcome
from mlops_api.cli.session import Session


def add_to(group: Group) -> None:
    group.command(
        "up", starts_server=True, examples=["up", "up --data-dir /srv/mlops --port 8000", "up --watch ./incoming"]
    )(up)
    group.command("demo", starts_server=True, examples=["demo", "demo --data-dir ./mlops-data"])(demo)


def up(
    session: Session,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one; default: 8000 or the next free one.")
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            help="A folder: flights.csv.gz dropped into it becomes the next version of dataset flights.",
            show_default=False,
        ),
    ] = None,
) -> Outcome:
    """Start the platform on 127.0.0.1 and print its address; Ctrl-C ends it."""
    from mlops_api.cli.up import run_up

    return Outcome(None, exit_code=run_up(session.data_dir, port, watch=watch, as_json=session.json), printed=True)


def demo(
    session: Session,
    file: Annotated[
        Path | None, typer.Option(help="flights.csv.gz; default: the repository's examples/data.", show_default=False)
    ] = None,
) -> Outcome:
    """The whole loop on real data, in about a minute. Exit code 1 when a figure falls short of its reference."""
    from mlops_api.cli.demo import run_demo

    return run_demo(session, file)
