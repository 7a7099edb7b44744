"""`python -m tests.support.killed_api ROOT PREFIX COUNT`: an "API" that starts jobs until a test kills it.

Prints `ready` when its engine has started, then one line per job, after start() returned: from then on the job
is acknowledged and may not be lost.
"""

import itertools
import sys
import threading
from pathlib import Path

from tests.support.local_runners import Machine, variant


def main(root: str, prefix: str, count: str) -> None:
    machine = Machine(Path(root)).start()
    print("ready", flush=True)
    for number in itertools.islice(itertools.count(), int(count)):
        machine.train(f"{prefix}-{number}", "sleep:0.05 model print:done")
        print(f"{prefix}-{number}", flush=True)
    if prefix == "host":
        machine.put_model("m/1", name="one")
        machine.host.deploy("e", [variant("a", "m/1")])
        while machine.host.describe("e").status != "InService":
            threading.Event().wait(0.01)
        print("in service", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
