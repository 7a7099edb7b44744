"""Tasks of a pipeline that a test scripts, for the local runner."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

ENDED = {"status": "Completed", "jobs": []}
GOOD: Mapping[str, dict[str, Any]] = {
    "prepare": {"job": "flights-v1"},
    "preprocess": ENDED,
    "check_quality": {"rows": 3, "train": True},
    "plan_training": {"candidates": []},
    "train": ENDED,
    "evaluate": {"comparison": {"passed": True}},
    "register": {"approval": "waits"},
    "notify": {"subject": "three candidates"},
    "record_failure": {},
}
"""What each task answers when all goes well."""

Answer = dict[str, Any] | BaseException | Callable[[Mapping[str, Any]], dict[str, Any]]


class Script:
    """The tasks. `on` gives the next answers of one, the last of which stays; `asked` tells what was asked in order."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self.asked: list[dict[str, Any]] = []

    def on(self, task: str, *answers: Answer) -> None:
        self._answers[task] = list(answers)

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.asked.append(dict(event))
            answers = self._answers.get(event["task"], [GOOD[event["task"]]])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer(event) if callable(answer) else answer

    def counts(self, execution: str = "flights-v1") -> Counter[str]:
        with self._lock:
            return Counter(event["task"] for event in self.asked if event["execution"] == execution)
