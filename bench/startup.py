"""From starting `mlops up` to the first 200 of /health/ready, and the same of a bare FastAPI app."""

import subprocess
import sys

from bench.figure import Row, Samples, at_most, informational
from bench.program import ROOT, Program, environment, free_port
from bench.server import Server
from bench.world import World

NAME = "startup"
ABOUT = "seconds from process start of `mlops up` to /health/ready, beside a bare FastAPI app"
LIMIT = 1.0
TIMES = 7
SLOWEST = 25


def measure(world: World, times: int = TIMES) -> list[Row]:
    """The first start of each is not counted: it compiles modules and fills the disk cache."""
    ours, bare = [], []
    for number in range(times + 1):
        ours.append(_started(Server(world.scratch / f"startup-{number}")))
        bare.append(_started(bare_app(world)))
    if world.verbose:
        world.say(slowest_imports())
    peer = Samples(bare[1:])
    row = at_most("mlops up, new folder", "s", Samples(ours[1:]), LIMIT, peer=peer.median, peer_is="bare FastAPI")
    return [row, informational("bare FastAPI app", "s", peer.median, best=peer.best)]


def _started(program: Program) -> float:
    try:
        return program.start()
    finally:
        program.stop()


def bare_app(world: World) -> Program:
    port = free_port()
    return Program([sys.executable, "-m", "bench.bare_app", str(port)], port, world.scratch / "bare-app.out")


def slowest_imports() -> str:
    """The modules that took longest by themselves when the server was imported, in microseconds."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import mlops_api.cli.up, mlops_api.adapters.local.stack"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    timed = [(int(own), int(whole), name.strip()) for own, whole, name in lines[1:]]
    slowest = [f"{own:>11}  {whole:>12}  {name}" for own, whole, name in sorted(timed, reverse=True)[:SLOWEST]]
    return "\n".join(["    self us    with its own  module", *slowest])
