"""Lambda's cold start: awslambdaric starts a process of its own, builds the platform and answers one request.

CPU seconds, because a start's wall clock is the machine's business; the peer does the same with a bare handler. Two
requests are measured, each in processes of its own: a health check, and a page that a caller with a token asks for.
"""

import http.server
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.figure import Row, Samples, at_most, informational
from bench.program import Failed
from bench.world import World
from tests.support.aws import CREDENTIALS
from tests.support.lambda_events import http_event
from tests.support.runtime_api import EndedFunctionsServer, FunctionError, LambdaFunction

NAME = "lambda"
ABOUT = "cold start of the Lambda function to its first answer: CPU seconds and memory, beside a bare handler"
TIMES = 7
MOST_TIMES_BARE, MOST_MEGABYTES = 1.6, 120.0


@dataclass(frozen=True)
class First:
    """A handler, and the request that finds it cold."""

    name: str
    handler: str
    event: Mapping[str, Any]


class Start(NamedTuple):
    """CPU until the first answer is there, and the most memory until then."""

    seconds: float
    megabytes: float


_HANDLER = "mlops_api.lambda_handler.handler"
OURS = (
    First("cold start with one DynamoDB read", _HANDLER, http_event("GET", "/health/ready", claims=None)),
    First("cold start with a caller's page of models", _HANDLER, http_event("GET", "/models")),
)
BARE = First("bare FastAPI and Mangum", "bench.bare_lambda.handler", http_event("GET", "/health/ready", claims=None))


def measure(world: World, times: int = TIMES) -> list[Row]:
    """The first start of each is not counted: it compiles modules and fills the disk cache."""
    with _empty_table() as url:
        environment = _environment(url)
        rounds = [[_start(first, environment, world) for first in (*OURS, BARE)] for _ in range(times + 1)]
    *ours, bare = zip(*rounds[1:], strict=True)
    return [row for first, starts in zip(OURS, ours, strict=True) for row in _rows(first, starts, bare)]


def _rows(first: First, starts: Sequence[Start], bare: Sequence[Start]) -> list[Row]:
    seconds, peer = Samples([start.seconds for start in starts]), Samples([start.seconds for start in bare])
    memory, peer_memory = Samples([start.megabytes for start in starts]), Samples([start.megabytes for start in bare])
    limit = MOST_TIMES_BARE * peer.median
    return [
        at_most(first.name, "CPU s", seconds, limit, peer=peer.median, peer_is=BARE.name,
                ratio=seconds.median / peer.median),
        at_most(f"{first.name}, memory", "MB", memory, MOST_MEGABYTES, peer=peer_memory.median, peer_is=BARE.name,
                ratio=memory.median / peer_memory.median),
        informational(f"{first.name}, best", "CPU s", seconds.best, best=seconds.best, peer=peer.best,
                      ratio=seconds.best / peer.best),
    ]  # fmt: skip


def _environment(url: str) -> dict[str, str]:
    settings = {"mode": "aws", "table": "records", "bucket": "objects", "role_arn": "arn:aws:iam::123456789012:role/r",
                "image_uri": "image:1", "state_machine_arn": "arn:aws:states:eu-central-1:123456789012:stateMachine:m",
                "allowed_hosts": "*"}  # fmt: skip
    return (
        CREDENTIALS | {"AWS_ENDPOINT_URL": url} | {f"MLOPS_{name.upper()}": value for name, value in settings.items()}
    )


@contextmanager
def _empty_table() -> Iterator[str]:
    """The URL of a DynamoDB in which every read finds nothing."""
    server = EndedFunctionsServer(("127.0.0.1", 0), _FindsNothing)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


_NOTHING = {"GetItem": b"{}", "Query": b'{"Items": [], "Count": 0, "ScannedCount": 0}'}
"""Operation -> its answer."""


class _FindsNothing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = _NOTHING[self.headers["X-Amz-Target"].rpartition(".")[2]]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """No news."""


_SCHEDULED = 2
"""CPUCLOCK_SCHED: with the process's number it makes what clock_getcpuclockid(3) gives."""


def _start(first: First, environment: dict[str, str], world: World) -> Start:
    with LambdaFunction(environment, world.scratch / "lambda.log", first.handler) as function:
        try:
            answer = function.invoke(first.event)
        except (FunctionError, TimeoutError) as error:
            raise Failed(f"{first.handler}: {error}") from error
        if answer["statusCode"] != 200:
            raise Failed(f"{first.handler} answered {answer['statusCode']}: {answer['body'][:500]}")
        return _used(function.process.pid)


def _used(pid: int) -> Start:
    """By the process's CPU clock, which counts nanoseconds, those of threads that have ended too."""
    spent = time.clock_gettime_ns((~pid << 3) | _SCHEDULED)
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Start(spent / 1e9, int(peak.split()[1]) / 1024)
