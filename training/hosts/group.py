"""What the hosts of a job compute together.

Everything goes through xgboost.collective's sums and maxima of arrays; its own way to send objects is pickle, which is
not used. All hosts must call the same operations in the same order.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from training.failure import STOPPED, JobError, JobStopped, reason, write_reason
from training.hosts.link import Link, Loss, end_process, meet
from training.hosts.place import Place
from training.paths import MlPaths
from training.stopping import StopRequest

Array = npt.NDArray[Any]

MEET_SECONDS: Final = 900.0
"""In which all hosts must have started; they fetch their data at different speeds before."""
MEET_VARIABLE: Final = "MLOPS_MEET_SECONDS"
EXCHANGE_SECONDS: Final = 7_200
"""That hosts wait for the slowest one in one exchange. A host that died is noticed by the link, not by this."""
LOSS_SECONDS: Final = 5.0
"""In which a failed exchange is explained by the link; and in which a host, told of a loss, ends by itself."""
PIECE: Final = 32 << 20
"""Bytes of one exchange of a file."""


class Hosts(Protocol):
    """The hosts of this job, seen from one of them."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this one evaluates the model and writes it."""

    def rows(self, count: int) -> slice:
        """This host's share of so many rows or trees; together they are all, each once, in the order of ranks. The
        first host has the larger one."""

    def total(self, values: Array) -> Array:
        """Sum over the hosts, element by element; float64."""

    def largest(self, values: Array) -> Array:
        """Maximum over the hosts, element by element; float64."""

    def any(self, flag: bool) -> bool:
        """Whether it is set on any host."""

    def from_first(self, content: bytes | None) -> bytes | None:
        """What the first host gives; what the others give is not looked at."""

    def gathered(self, content: bytes) -> list[bytes]:
        """On the first host what each gives, by rank; on the others nothing."""

    def agree(self, facts: Mapping[str, str]) -> None:
        """Raises JobError naming the first of `facts` that is not the same on all hosts."""


class Alone:
    """One host: nothing to exchange."""

    rank, size, first = 0, 1, True

    def rows(self, count: int) -> slice:
        return slice(0, count)

    def total(self, values: Array) -> Array:
        return values

    def largest(self, values: Array) -> Array:
        return values

    def any(self, flag: bool) -> bool:
        return flag

    def from_first(self, content: bytes | None) -> bytes | None:
        return content

    def gathered(self, content: bytes) -> list[bytes]:
        return [content]

    def agree(self, facts: Mapping[str, str]) -> None:
        pass


class Group:
    """Several hosts, between `begin` and `finish` of the communicator."""

    def __init__(self, place: Place, collective: Any) -> None:
        self.rank, self.size, self.first = place.rank, place.size, place.first
        self._collective = collective

    def rows(self, count: int) -> slice:
        begin, end = (-(-count * each // self.size) for each in (self.rank, self.rank + 1))
        return slice(begin, end)

    def total(self, values: Array) -> Array:
        return self._reduced(np.asarray(values, np.float64), self._collective.Op.SUM)

    def largest(self, values: Array) -> Array:
        return self._reduced(np.asarray(values, np.float64), self._collective.Op.MAX)

    def any(self, flag: bool) -> bool:
        return bool(self.largest(np.array([float(flag)]))[0])

    def from_first(self, content: bytes | None) -> bytes | None:
        # One byte more than the content, so that an empty one is not nothing.
        found = self._sent(0, b"" if content is None else b"+" + content)
        return found[1:] if found else None

    def gathered(self, content: bytes) -> list[bytes]:
        sent = [self._sent(rank, content) for rank in range(self.size)]
        return sent if self.first else []

    def agree(self, facts: Mapping[str, str]) -> None:
        for name, fact in facts.items():
            digest = np.frombuffer(hashlib.sha256(fact.encode()).digest(), np.uint8).astype(np.float64)
            if not np.array_equal(self.largest(digest), -self.largest(-digest)):
                raise JobError(f"The hosts of this job do not see the same {name}; each needs the whole dataset.")

    def _sent(self, sender: int, content: bytes) -> bytes:
        """What host `sender` gives, on every host: the others add zeros."""
        own = np.frombuffer(content if self.rank == sender else b"", np.uint8)
        length = int(self.largest(np.array([float(len(own))]))[0])
        pieces = []
        for begin in range(0, length, PIECE):
            piece = np.zeros(min(PIECE, length - begin), np.uint8)
            piece[: len(own[begin : begin + PIECE])] = own[begin : begin + PIECE]
            pieces.append(self._reduced(piece, self._collective.Op.MAX).tobytes())
        return b"".join(pieces)

    def _reduced(self, values: Array, operation: Any) -> Array:
        reduced: Array = self._collective.allreduce(values, operation).reshape(values.shape)
        return reduced


# --------------------------------------------------------------------------- beginning and end


@contextmanager
def together(place: Place, paths: MlPaths, stop: StopRequest, say: Callable[[str], None]) -> Iterator[Hosts]:
    """The hosts of the job, for as long as they have to exchange something. One host costs nothing.

    Raises JobError when hosts do not come, or one is lost meanwhile; JobStopped when that is because the job is
    stopped. A host that is busy then, and does not come to hear of it, is ended, its reason in output/failure.
    """
    if place.size == 1:
        yield Alone()
        return
    from xgboost import collective
    from xgboost.core import XGBoostError

    # What is thrown out of here ends the process: see `leave`.
    _Unfinished.hosts = True
    with _Session(place, paths, stop) as session:
        try:
            session.begin(collective)
            say(f"phase=together host={place.current} rank={place.rank} of={place.size}")
            yield Group(place, collective)
            session.finish(collective)
        except XGBoostError as error:
            raise session.explained(error) from error
    _Unfinished.hosts = False


class _Unfinished:
    """Whether this process has a communicator that it did not come to finish."""

    hosts = False


def leave(code: int) -> int:
    """`code`; but a process that has left its group without finishing it ends here."""
    if _Unfinished.hosts:
        sys.stdout.flush()
        sys.stderr.flush()
        end_process(code)
    return code


class _Session:
    """The link and the tracker of one group."""

    def __init__(self, place: Place, paths: MlPaths, stop: StopRequest) -> None:
        self._place, self._paths, self._stop = place, paths, stop
        self._link = Link([], self._lost)
        self._tracker: Any = None

    def __enter__(self) -> "_Session":
        return self

    def begin(self, collective: Any) -> None:
        seconds = float(os.environ.get(MEET_VARIABLE) or MEET_SECONDS)
        peers, address, port = meet(self._place, self._open_tracker, seconds)
        self._link = Link(peers, self._lost)
        self._link.watch()
        collective.init(
            dmlc_communicator="rabit",
            dmlc_tracker_uri=address,
            dmlc_tracker_port=port,
            dmlc_task_id=f"{self._place.rank:04d}",
            dmlc_retry=3,
            dmlc_timeout=EXCHANGE_SECONDS,
        )
        if collective.get_rank() != self._place.rank:
            raise JobError(f"{self._place.current} got rank {collective.get_rank()}, not {self._place.rank}.")

    def _open_tracker(self, address: str) -> tuple[str, int]:
        from xgboost.tracker import RabitTracker

        self._tracker = RabitTracker(n_workers=self._place.size, host_ip=address, sortby="task", timeout=0)
        self._tracker.start()
        found = self._tracker.worker_args()
        return str(found["dmlc_tracker_uri"]), int(found["dmlc_tracker_port"])

    def finish(self, collective: Any) -> None:
        """All hosts have come to the end of what they do together."""
        collective.finalize()
        if self._tracker is not None:
            self._tracker.wait_for()
        self._link.leave("done")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, JobStopped):
            self._link.leave("stopped")
        elif isinstance(error, Exception):
            self._link.leave("failed", reason(error))

    def explained(self, error: Exception) -> Exception:
        """Why an exchange failed: because of a host that is lost, or else for a reason of its own."""
        loss = self._link.wait_for_loss(LOSS_SECONDS)
        if loss is None:
            return error
        return JobStopped() if self._is_stop(loss) else JobError(str(loss))

    def _is_stop(self, loss: Loss) -> bool:
        """Whoever stops the job tells every host, and some are faster."""
        return loss.end == "stopped" or self._stop.requested()

    def _lost(self, loss: Loss) -> None:
        """In the link's thread: the main thread may be busy for hours with what nobody waits for any more."""
        if self._stop.finished(LOSS_SECONDS):
            return
        if self._is_stop(loss):
            print("phase=stopped", flush=True)
            end_process(STOPPED)
        print(f"error: {loss}", file=sys.stderr, flush=True)
        write_reason(self._paths.failure, str(loss))
        end_process(1)
