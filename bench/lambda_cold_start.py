"""Lambda's cold start: awslambdaric starts a process of its own, builds the platform and answers one request.

CPU seconds, because a start's wall clock is the machine's business; the peer does the same with a bare handler.
"""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Row, Samples, at_most, informational
from bench.program import Failed
from bench.world import World
from tests.support.aws import CREDENTIALS
from tests.support.lambda_events import http_event
from tests.support.runtime_api import FunctionError, LambdaFunction

NAME = "lambda"
ABOUT = "cold start of the Lambda function to its first answer: CPU seconds and memory, beside a bare handler"
TIMES = 7
MOST_TIMES_BARE, MOST_MEGABYTES = 1.6, 120.0
_OURS, _BARE = "mlops_api.lambda_handler.handler", "bench.bare_lambda.handler"
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(world: World, times: int = TIMES) -> list[Row]:
    """The first start of each is not counted: it compiles modules and fills the disk cache."""
    with _empty_table() as url:
        environment = _environment(url)
        starts = [(_start(_OURS, environment, world), _start(_BARE, environment, world)) for _ in range(times + 1)]
    ours, bare = zip(*starts[1:], strict=True)
    seconds, peer = Samples([start[0] for start in ours]), Samples([start[0] for start in bare])
    memory, peer_memory = Samples([start[1] for start in ours]), Samples([start[1] for start in bare])
    name = "cold start with one DynamoDB read"
    limit = MOST_TIMES_BARE * peer.median
    return [
        at_most(name, "CPU s", seconds, limit, peer=peer.median, peer_is="bare FastAPI and Mangum",
                ratio=seconds.median / peer.median),
        at_most(f"{name}, memory", "MB", memory, MOST_MEGABYTES, peer=peer_memory.median,
                peer_is="bare FastAPI and Mangum", ratio=memory.median / peer_memory.median),
        informational(f"{name}, best", "CPU s", seconds.best, best=seconds.best, peer=peer.best,
                      ratio=seconds.best / peer.best),
    ]  # fmt: skip


def _environment(url: str) -> dict[str, str]:
    settings = {"mode": "aws", "table": "records", "bucket": "objects", "role_arn": "arn:aws:iam::123456789012:role/r",
                "image_uri": "image:1", "allowed_hosts": "*"}  # fmt: skip
    return (
        CREDENTIALS | {"AWS_ENDPOINT_URL": url} | {f"MLOPS_{name.upper()}": value for name, value in settings.items()}
    )


@contextmanager
def _empty_table() -> Iterator[str]:
    """The URL of a DynamoDB in which every read finds nothing."""
    server = _Server(("127.0.0.1", 0), _FindsNothing)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A function that was ended took its connection with it."""


class _FindsNothing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """No news."""


def _start(handler: str, environment: dict[str, str], world: World) -> tuple[float, float]:
    """CPU seconds until the first answer is there, and the most memory until then, in MB."""
    with LambdaFunction(environment, world.scratch / "lambda.log", handler) as function:
        try:
            answer = function.invoke(http_event("GET", "/health/ready", claims=None))
        except (FunctionError, TimeoutError) as error:
            raise Failed(f"{handler}: {error}") from error
        if answer["statusCode"] != 200:
            raise Failed(f"{handler} answered {answer['statusCode']}: {answer['body'][:500]}")
        return _used(function.process.pid)


def _used(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(peak.split()[1]) / 1024
