"""`mlops data contract`: from a suggestion to a file, and from the file to the server."""

import json
from pathlib import Path

import pytest

from tests.support import samples
from tests.support.canned_api import CannedApi


def test_a_suggestion_is_saved_edited_and_set(api: CannedApi, mlops, tmp_path: Path) -> None:
    code, out, err = mlops("data", "contract", "suggest", "flights:1", "--to", "c.json")
    assert code == 0
    assert "saved to c.json" in err
    assert "carrier" in out
    saved = json.loads((tmp_path / "c.json").read_text())
    assert saved == {
        "columns": [{"name": "carrier", "type": "categorical", "allowed": ["UA", "AA"]}, {"name": "tail"}],
        "min_rows": 10,
    }
    assert mlops("data", "contract", "set", "flights", "c.json", "--if-revision", "3")[0] == 0
    (sent,) = api.calls("PUT", "/datasets/flights/contract")
    assert sent.headers["if-match"] == "3"
    assert samples.contract().contract.model_validate_json(sent.body) == samples.contract().contract


def test_a_file_that_exists_is_kept(api: CannedApi, mlops, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("mine")
    code, _, err = mlops("data", "contract", "show", "flights", "--to", "c.json")
    assert code == 2
    assert "c.json exists" in err
    assert (tmp_path / "c.json").read_text() == "mine"
    assert mlops("data", "contract", "show", "flights", "--to", "c.json", "--force")[0] == 0


def test_without_a_revision_none_is_sent(api: CannedApi, mlops, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    mlops("data", "contract", "set", "flights", "c.json")
    mlops("data", "contract", "delete", "flights")
    assert [one.headers.get("if-match") for one in api.asked] == [None, None]
    mlops("data", "contract", "delete", "flights", "--if-revision", "2")
    assert api.asked[-1].headers["if-match"] == "2"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{", 2, "holds no JSON"),
        ("[]", 2, "holds no JSON object"),
        ('{"columns": [{"name": "a", "minimum": 1}]}', 4, "minimum and maximum need type numeric"),
        ('{"rows": 3}', 4, "rows"),
    ],
)
def test_what_is_no_contract_is_not_sent(api: CannedApi, mlops, tmp_path: Path, text, code, said) -> None:
    (tmp_path / "c.json").write_text(text)
    got, _, err = mlops("data", "contract", "set", "flights", "c.json")
    assert got == code
    assert said in err
    assert not api.asked


def test_a_change_meanwhile_is_refused(api: CannedApi, mlops, tmp_path: Path) -> None:
    api.on("PUT", "/datasets/flights/contract", (412, {"detail": "it is at revision 4, not 3"}))
    (tmp_path / "c.json").write_text("{}")
    code, _, err = mlops("data", "contract", "set", "flights", "c.json", "--if-revision", "3")
    assert (code, "it is at revision 4, not 3" in err) == (4, True)
