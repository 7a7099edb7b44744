"""A container program that really runs, and misbehaves on request.

`do` says what: for train, the hyperparameter `do`; for preprocess, a file that begins with `do `; for transform,
each row that does; for serve, model.json and the request. It is a list of steps:

    print:TEXT  metric:NAME=VALUE  sleep:SECONDS  exit:CODE  fail:TEXT  raise:TEXT  signal:NUMBER
    ignore-term  kill-parent  child (leaves a process behind)  once:STEP (in the first attempt only)
    model (writes a model)  env (writes its variables)  threads (prints the sizes of its thread pools)
    files (prints the data channel; files:CHANNEL another one with its content)
    hosts (prints which host of which this is)  bytes (writes an awkward log)  checkpoint:TEXT  accept  no-report
"""

import http.server
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlops_contracts.metrics import metric_line
from training.failure import JobError
from training.model_archive import unpack_model
from training.paths import MlPaths


def preload() -> None:
    """Nothing to import."""


def main(argv: Sequence[str]) -> int:
    _note("begin")
    code = _PROGRAMS[argv[0]]()
    _note("end")
    return code


def _root() -> Path:
    return Path(os.environ["MLOPS_ML_ROOT"])


def _job() -> MlPaths:
    """Where preprocess and transform find their folders: a SageMaker processing job has them elsewhere."""
    return MlPaths.of_job()


def _note(word: str) -> None:
    """One line per begin and end, so that a test can count how often a job really ran."""
    journal = os.open(_root().parent / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(journal, f"{word} {os.getpid()}\n".encode())
    os.close(journal)


def _train() -> int:
    return _steps(json.loads((_root() / "input/config/hyperparameters.json").read_text()).get("do", ""))


def _preprocess() -> int:
    job = _job()
    (raw,) = job.channel("raw").iterdir()
    config = json.loads((job.config / "preprocess.json").read_text())
    output = job.output
    output.mkdir(exist_ok=True)
    text = raw.read_text()
    if text != "do no-report":
        (output / "dataset.json").write_text(json.dumps({"filename": config["filename"], "bytes": len(text)}))
    return _steps(text.removeprefix("do ")) if text.startswith("do ") else 0


def _transform() -> int:
    job = _job()
    try:
        unpack_model(job)
    except JobError as error:
        return _fail(str(error))
    config = json.loads((job.config / "transform.json").read_text())
    rows = (job.channel("transform") / "data.csv").read_text().splitlines()
    output = job.output
    output.mkdir(exist_ok=True)
    parts = job.root / "parts"
    parts.mkdir(exist_ok=True)
    for number, row in enumerate(rows, 1):
        part = parts / str(number)
        if not part.exists():
            part.write_text(f"{number},{row}\n")
            _note(f"row-{number}")
        _progress(job.progress, len(rows), number)
        _steps(row.removeprefix("do ")) if row.startswith("do ") else None
    results = "".join((parts / str(number)).read_text() for number in range(1, len(rows) + 1))
    (output / f"results.{config['format']}").write_text(results)
    return 0


def _progress(output: Path, rows: int, done: int) -> None:
    output.mkdir(exist_ok=True)
    half = output / "progress.json.half"
    half.write_text(json.dumps({"rows": rows, "done_rows": done, "failed_rows": 0}))
    half.replace(output / "progress.json")


def _steps(steps: str) -> int:
    for step in steps.split():
        name, _, value = step.partition(":")
        code = _STEPS[name](value)
        if code is not None:
            return code
    return 0


def _once(step: str) -> int | None:
    mark = _root().parent / f"once-{step.replace(':', '-')}"
    if mark.exists():
        return None
    mark.touch()
    return _steps(step)


def _fail(text: str) -> int:
    failure = _job().failure
    failure.parent.mkdir(exist_ok=True)
    failure.write_text(text)
    return 1


def _raise(text: str) -> None:
    raise ValueError(text)


def _metric(text: str) -> None:
    name, _, value = text.partition("=")
    print(metric_line(name, float(value)))


def _kill_parent(_: str) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)


def _ignore_term(_: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _child(_: str) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def _model(_: str) -> None:
    (_root() / "model").mkdir(exist_ok=True)
    for name, text in (("a.bin", "weights"), ("model-card.md", "# Card"), ("manifest.json", "{}")):
        (_root() / "model" / name).write_text(text)


def _checkpoint(text: str) -> None:
    """Counts up in the checkpoint folder, which outlives an attempt."""
    path = _root() / "checkpoints" / "count"
    path.write_text((path.read_text() if path.exists() else "") + text)
    print("checkpoint", path.read_text())


def _files(name: str) -> None:
    channel = _root() / "input/data" / (name or "training")
    for path in sorted(channel.rglob("*")):
        if path.is_file():
            print(path.relative_to(channel), *([path.read_text()] if name else []))


def _hosts(_: str) -> None:
    config = json.loads((_root() / "input/config/resourceconfig.json").read_text())
    print(config["current_host"], "of", ",".join(config["hosts"]))


def _bytes(_: str) -> None:
    sys.stdout.buffer.write(b"caf\xe9\n" + b"x" * 9000 + b"\nno newline")


def _accept(_: str) -> None:
    for name in ("data.parquet", "preview.json", "profile.json"):
        (_job().output / name).write_text(name)


def _nothing(_: str) -> None:
    """For a file that must not be empty."""


def _env(_: str) -> None:
    print("env", json.dumps(dict(os.environ)))
    print("fds", json.dumps([_link(fd) for fd in Path("/proc/self/fd").iterdir()]))


def _link(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:
        return "gone"


def _threads(_: str) -> None:
    import threadpoolctl

    print("threads", json.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info()]))


def _sleep(text: str) -> None:
    time.sleep(float(text))


def _print(text: str) -> None:
    print(text)


def _signal(text: str) -> None:
    os.kill(os.getpid(), int(text))
    time.sleep(30)


_STEPS: dict[str, Callable[[str], int | None]] = {
    "print": _print,
    "metric": _metric,
    "sleep": _sleep,
    "exit": int,
    "fail": _fail,
    "raise": _raise,
    "signal": _signal,
    "ignore-term": _ignore_term,
    "kill-parent": _kill_parent,
    "child": _child,
    "model": _model,
    "checkpoint": _checkpoint,
    "once": _once,
    "env": _env,
    "files": _files,
    "hosts": _hosts,
    "bytes": _bytes,
    "accept": _accept,
    "no-report": _nothing,
    "threads": _threads,
}


# --------------------------------------------------------------------------- serve


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: dict[str, str]

    def do_GET(self) -> None:
        self._answer(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = body.decode("utf-8", "replace")
        if text == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if text.startswith("sleep "):
            time.sleep(float(text.removeprefix("sleep ")))
        if text == "close":
            self.close_connection = True
            return
        if text == "full":
            self._answer(503, b'{"error": "busy"}')
            return
        if text == "bad":
            self._answer(422, b'{"error": "bad row"}')
            return
        if text == "chunked":
            self._chunked()
            return
        answer = {"model": self.model["name"], "pid": os.getpid(), "bytes": len(body)}
        answer |= {"accept": self.headers["Accept"], "content_type": self.headers["Content-Type"]}
        self._answer(200, json.dumps(answer).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_: object) -> None:
        pass


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), _Handler)
        self.socket = listener

    def fileno(self) -> int:
        return self.socket.fileno()

    def get_request(self) -> tuple[socket.socket, str]:
        connection, _ = self.socket.accept()
        return connection, "local"

    def shutdown_request(self, request: socket.socket) -> None:
        request.close()


def _listener() -> socket.socket:
    inherited = os.environ.get("MLOPS_LISTEN_FD")
    if inherited:
        return socket.socket(fileno=int(inherited))
    host, port = os.environ.get("MLOPS_BIND_HOST", "127.0.0.1"), os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    return socket.create_server((host, int(port)))


def _serve() -> int:
    model = json.loads((_root() / "model/model.json").read_text())
    if model.get("fail"):
        print(f"error: {model['fail']}", file=sys.stderr)
        return _fail(model["fail"])
    time.sleep(float(model.get("load_seconds", 0)))
    _Handler.model = model
    server = _Server(_listener())
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.02)
    return 0


_PROGRAMS: dict[str, Callable[[], int]] = {
    "train": _train,
    "preprocess": _preprocess,
    "transform": _transform,
    "serve": _serve,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
