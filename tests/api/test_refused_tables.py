"""Refused tables, as a client of a real server sees them: where, what is wrong, what to do; the next file is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_api.client import MLOps, NotFound, Validation
from mlops_contracts.codes import VIOLATIONS
from mlops_contracts.data_contract import ColumnRule, DataContract
from tests.support.corpus import CASES, Case
from tests.support.server import PENGUINS, Server

SHOWN = (
    "header only", "duplicate column", "long row", "nul", "broken utf-8", "1e999", "not a number", "truncated gzip",
    "gzip bomb by ratio", "parquet nested", "unterminated quote", "commas only",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("refused") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[MLOps]:
    with server.client() as client:
        yield client


def quality(server: Server, version: str) -> dict[str, Any]:
    with server.http() as http:
        found: dict[str, Any] = http.get(f"/datasets/{version}/quality").json()
    return found


def refused(client: MLOps, data: bytes, name: str, filename: str = "table.csv") -> str:
    with pytest.raises(Validation) as error:
        client.datasets.upload(data, name=name, filename=filename)
    return str(error.value.extra["version"])


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in CASES if each.name in SHOWN])
def test_the_answer_names_the_place_and_what_to_do(case: Case, server: Server, client: MLOps) -> None:
    version = refused(client, case.bytes(), "corpus", case.filename)
    found = quality(server, version)
    places = [(each["code"], each["row"], each["column"]) for each in found["violations"]]
    assert places == list(case.violations)
    assert found["violation_count"] == len(places)
    for each in found["violations"]:
        assert each["code"] in VIOLATIONS
        assert each["message"].count(". ") + each["message"].count("; ") >= 1
    assert client.datasets.get(version).status == "Rejected"


def test_all_of_them_were_shown() -> None:
    assert len([each for each in CASES if each.name in SHOWN]) == len(SHOWN)


def test_a_contract_is_kept_by_every_later_version(server: Server, client: MLOps) -> None:
    first = client.datasets.upload(PENGUINS, name="penguins")
    assert first.contract is None
    contract = client.datasets.set_contract("penguins", client.datasets.suggest_contract(first.version))
    assert client.datasets.upload(PENGUINS, name="penguins").contract == contract.number == 1
    lines = PENGUINS.read_text().splitlines()
    lines[5] = lines[5].replace("Adelie", "Emperor")
    lines[9] = lines[9].replace("2007", "1907")
    version = refused(client, "\n".join(lines).encode(), "penguins", "penguins.csv")
    found = quality(server, version)["violations"]
    assert [(each["code"], each["row"], each["column"]) for each in found] == [
        ("contract_not_allowed", 5, "species"),
        ("contract_out_of_range", 9, "year"),
    ]
    assert client.datasets.get(version).contract == 1
    client.datasets.delete_contract("penguins")
    after = client.datasets.upload("\n".join(lines).encode(), name="penguins", filename="penguins.csv")
    assert (after.status, after.contract) == ("Ready", None)


def test_versions_are_compared(client: MLOps) -> None:
    rows = PENGUINS.read_text().splitlines()
    header, body = rows[0], rows[1:]
    client.datasets.upload("\n".join([header, *body]).encode(), name="birds", filename="b.csv")
    heavier = [row for row in body if not row.startswith("Adelie")]
    later = client.datasets.upload("\n".join([header + ",ring", *(f"{row},1" for row in heavier)]).encode(),
                                   name="birds", filename="b.csv")  # fmt: skip
    assert later.compared_with == "birds:1"
    warned = {(each.code, each.column) for each in later.quality.warnings}
    assert {("column_added", "ring"), ("drift", "species"), ("drift", "body_mass_g")} <= warned
    found = client.datasets.compare("birds:2")
    assert found.reference == "birds:1"
    assert {each.name for each in found.columns if each.drifted} >= {"species", "body_mass_g"}
    assert client.datasets.compare("birds:2", "birds:2").findings == ()
    with pytest.raises(NotFound, match="No version before"):
        client.datasets.compare("birds:1")


def test_a_contract_for_a_dataset_to_come(client: MLOps) -> None:
    client.datasets.set_contract("later", DataContract(columns=(ColumnRule(name="a", type="numeric"),)), revision=0)
    version = refused(client, b"b\n1\n2\n", "later")
    assert client.datasets.get(version).contract == 1


def test_the_recipes_target_is_looked_at(server: Server, client: MLOps, tmp_path: Path) -> None:
    with server.http() as http:
        assert http.put("/datasets/labelled/recipe", json={"target": "species"}).status_code == 200
    version = refused(client, b"x,species\n1,a\n2,\n3,b\n", "labelled")
    assert [(each["code"], each["row"]) for each in quality(server, version)["violations"]] == [
        ("target_labels_missing", 2)
    ]
