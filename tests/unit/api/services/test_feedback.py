"""Labels that arrive later are kept by prediction and row, once each."""

import pytest
from pydantic import ValidationError

from mlops_api.domain.inference import Feedback
from tests.support.platform import ANN, BOB, World, at_once

ID = "0123456789abcdef01234567"


def feedback(*labels: tuple[int, str], prediction: str = ID) -> Feedback:
    items = [{"prediction_id": prediction, "row": row, "label": label} for row, label in labels]
    return Feedback.model_validate({"labels": items})


def known(here: World) -> list[tuple[int, str, str]]:
    return [(label.row, label.label, label.by) for label in here.platform.feedback.labels(ID)]


def test_labels_are_kept_and_the_last_word_counts(here: World) -> None:
    assert here.platform.feedback.store(ANN, feedback((0, "1"), (1, "0"))).stored == 2
    assert here.platform.feedback.store(BOB, feedback((1, "1"))).stored == 1
    assert known(here) == [(0, "1", "ann"), (1, "1", "bob")]


def test_many_labels_and_two_for_one_row(here: World) -> None:
    labels = [(row, str(row % 2)) for row in range(99)]
    assert here.platform.feedback.store(ANN, feedback(*labels, (0, "last"))).stored == 99
    assert known(here)[0] == (0, "last", "ann")
    assert len(known(here)) == 99


def test_labels_sent_at_once_are_all_kept(here: World) -> None:
    made = at_once(
        *(lambda row=row: here.platform.feedback.store(ANN, feedback((row, "1"), (99, "x"))) for row in range(6))
    )
    assert not [each for each in made if isinstance(each, BaseException)]
    assert [row for row, *_ in known(here)] == [0, 1, 2, 3, 4, 5, 99]


@pytest.mark.parametrize("prediction", ["", "../etc", "0" * 23, "G" * 24])
def test_only_ids_that_predict_gave_are_taken(prediction: str) -> None:
    with pytest.raises(ValidationError):
        feedback((0, "1"), prediction=prediction)
