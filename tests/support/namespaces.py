"""Hosts with a network each, on this machine: Linux network namespaces on one bridge, known to each other by name."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

NETWORK = "192.0.2"
"""Reserved for documentation: no machine has such an address."""
_ETC = Path("/etc/netns")
"""`ip netns exec NAME` shows the files below NAME here in the place of those in /etc."""


class NotPossible(Exception):
    """This machine, or this user, cannot make network namespaces; the message says why."""


class Namespaces:
    """`names` of the hosts; each has a namespace, an interface `eth0` and the address NETWORK.{number from 1}."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._mark = f"mlops{os.getpid()}"

    def space(self, number: int) -> str:
        return f"{self._mark}-{number}"

    def inside(self, number: int) -> list[str]:
        """What a command line begins with to run on host `number`, from 0."""
        return ["ip", "netns", "exec", self.space(number)]

    def unplug(self, number: int) -> None:
        """The host goes on, but nothing reaches it any more, and it reaches nobody."""
        _ip("-n", self.space(number), "link", "set", "eth0", "down")

    def make(self) -> None:
        """Raises NotPossible."""
        if not shutil.which("ip") or os.geteuid() != 0:
            raise NotPossible("needs root and iproute2")
        switch = f"{self._mark}-s"
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number in range(len(self.names)):
            self._host(number, switch)

    def _host(self, number: int, switch: str) -> None:
        space, port = self.space(number), f"port{number}"
        _ip("netns", "add", space)
        _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
        _ip("-n", space, "addr", "add", f"{NETWORK}.{number + 1}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")
        etc = _ETC / space
        etc.mkdir(parents=True)
        known = [f"{NETWORK}.{each} {name}\n" for each, name in enumerate(self.names, 1)]
        (etc / "hosts").write_text("127.0.0.1 localhost\n" + "".join(known))

    def remove(self) -> None:
        if not shutil.which("ip"):
            return
        for space in (*(self.space(number) for number in range(len(self.names))), f"{self._mark}-s"):
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)
            shutil.rmtree(_ETC / space, ignore_errors=True)
        with suppress(OSError):  # others may have theirs there
            _ETC.rmdir()


@contextmanager
def namespaces(names: Sequence[str]) -> Iterator[Namespaces]:
    """Raises NotPossible."""
    made = Namespaces(names)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotPossible(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
