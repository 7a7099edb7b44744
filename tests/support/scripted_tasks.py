"""Tasks of a workflow that do what a test writes down: in this process, or as a Lambda function (`handler`).

A folder holds it all, because a function's process shares nothing else with the test:

    {execution}.json   task -> what to do at its first call, its second ...; what is missing there is done well
    calls.jsonl        every call and every event, in order

What to do is one of {"raise": name, "cause": text}, {"wait_for": a file's name} and {"answer": what}.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_api.domain import errors, pipelines
from mlops_api.services.tasks import Tasks

WELL: Mapping[str, Any] = {
    "prepare": {"job": "p", "engine": "sagemaker", "request": {}},
    "preprocess": {"status": "Completed", "jobs": ["p"]},
    "check_quality": {"rows": 3, "train": True},
    "plan_training": {"candidates": [{"job": "a"}, {"job": "b"}]},
    "train": {"status": "Completed", "jobs": [], "candidates": [{"job": "a"}, {"job": "b"}]},
    "evaluate": {"model_version": "flights:1"},
}
_LONGEST_WAIT = 60


class Script:
    """`folder`: an existing one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, execution: str, **tasks: list[dict[str, Any]]) -> None:
        (self._folder / f"{execution}.json").write_text(json.dumps(tasks))

    def release(self, name: str) -> None:
        """What waits for this file goes on."""
        (self._folder / name).touch()

    def run(self, event: Mapping[str, Any]) -> Any:
        """services.tasks' place."""
        if event["task"] == "fail":
            return Tasks.ending(event)
        before = self._note(event)
        return self._act(event, self._planned(event, before))

    def tell(self, event: Mapping[str, Any]) -> None:
        """The platform's place."""
        self._note(event)

    def calls(self, execution: str) -> list[str]:
        """Tasks in the order in which they were called, those of candidates left out."""
        noted = self._noted()
        found = [each["task"] for each in noted if each.get("execution") == execution and "job" not in each]
        return [task for task in found if task not in ("preprocess", "train")]

    def events(self, execution: str) -> list[str]:
        """Statuses that were told, each once."""
        told = [each["detail"] for each in self._noted() if "detail" in each]
        return list(dict.fromkeys(each["status"] for each in told if each["name"] == execution))

    def _note(self, event: Mapping[str, Any]) -> int:
        """How often this task was called before."""
        with (self._folder / "calls.jsonl").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            earlier = [json.loads(line) for line in file]
            file.write(json.dumps(dict(event)) + "\n")
        named = ("task", "execution", "job")
        return sum(all(each.get(name) == event.get(name) for name in named) for each in earlier)

    def _noted(self) -> list[dict[str, Any]]:
        path = self._folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _planned(self, event: Mapping[str, Any], before: int) -> Mapping[str, Any]:
        path = self._folder / f"{event['execution']}.json"
        plans = json.loads(path.read_text()).get(event["task"], []) if path.exists() else []
        return dict(plans[before]) if before < len(plans) else {}

    def _act(self, event: Mapping[str, Any], plan: Mapping[str, Any]) -> Any:
        if "raise" in plan:
            raise _error(plan["raise"], plan.get("cause", "because"))
        if "wait_for" in plan:
            self._wait(self._folder / plan["wait_for"])
        well = WELL.get(event["task"], {"job": event["job"]} if "job" in event else {})
        return plan.get("answer", well)

    def _wait(self, path: Path) -> None:
        deadline = time.monotonic() + _LONGEST_WAIT
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)


def handler(event: Mapping[str, Any], _: Any) -> Any:
    """Lambda's: a task, an event, or a job's request, in the place of `.sync`."""
    script = Script(Path(os.environ["SCRIPT"]))
    if "detail" in event:
        return script.tell(event)
    return script.run(event) if "task" in event else {}


def _error(name: str, cause: str) -> Exception:
    known = getattr(errors, name, None) or getattr(pipelines, name, None) or type(name, (Exception,), {})
    made: Exception = known(cause)
    return made
