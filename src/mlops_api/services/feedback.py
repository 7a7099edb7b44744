"""True labels that arrive later, kept by prediction and row. A label sent again replaces the one before."""

from pydantic import BaseModel

from mlops_api.domain.inference import Feedback, FeedbackStored
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Place, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.principal import Principal

_AT_ONCE = 25
_ALL = "feedback"


class Label(BaseModel):
    prediction_id: str
    row: int
    label: str
    at: str
    by: str

    @property
    def key(self) -> str:
        return f"{self.prediction_id}/{self.row}"


class FeedbackService:
    def __init__(self, *, records: RecordStore, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._labels = Collection(
            records,
            _ALL,
            Label,
            what="label",
            key=lambda label: label.key,
            places=lambda label: {
                "all": Place(_ALL, label.at),
                "group": Place(f"{_ALL}/{label.prediction_id}", label.key),
            },
        )

    def store(self, by: Principal, request: Feedback) -> FeedbackStored:
        """All of them are stored when this returns. Sending the same labels again changes nothing but the time."""
        at = rfc3339(self._clock())
        labels = [Label(**item.model_dump(), at=at, by=by.name) for item in request.labels]
        wanted = {label.key: label for label in labels}
        keys = list(wanted)
        for start in range(0, len(keys), _AT_ONCE):
            self._store([wanted[key] for key in keys[start : start + _AT_ONCE]])
        return FeedbackStored(stored=len(wanted))

    def labels(self, prediction_id: str) -> list[Label]:
        """Those known for a prediction, by row."""
        return sorted(self._labels.every("group", f"{_ALL}/{prediction_id}"), key=lambda label: label.row)

    def _store(self, labels: list[Label]) -> None:
        until_unbeaten(lambda: self._write(labels), what="these labels")

    def _write(self, labels: list[Label]) -> None:
        found = self._labels.find_stored([label.key for label in labels])
        self._records.write(
            [
                self._labels.to_put(Stored(label, found[label.key].revision if label.key in found else 0))
                for label in labels
            ]
        )
