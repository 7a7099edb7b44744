"""Another version's bundle is judged on the rows that the job holds out, or it is said why not."""

import io
import shutil
import tarfile

import numpy as np
import pyarrow as pa
import pytest

from mlops_contracts.evaluation import Champion, Evaluation
from tests.support.mixed_table import mixed_table
from tests.support.training_data import write_job
from training import bundle, model_archive, train

QUICK = {"random_forest": {"n_estimators": 10}, "xgboost": {"n_estimators": 20}, "logistic_regression": {}}
OTHERS = {"two": ("three", "amount"), "three": ("two", "amount"), "amount": ("two", "three")}


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_ML_ROOT", str(tmp_path))


@pytest.fixture
def trained(tmp_path, capsys):
    """Runs a job; `champion`: a packed bundle for its channel. Gives evaluation.json's Evaluation."""

    def run(table, algorithm="xgboost", target="two", champion=None, **config):
        shutil.rmtree(tmp_path / "input", ignore_errors=True)
        config = {"exclude": OTHERS[target], "champion": "m:1" if champion else None} | config
        write_job(tmp_path, table, QUICK[algorithm], algorithm=algorithm, target=target, **config)
        if champion is not None:
            put(tmp_path, champion)
        assert train.main([]) == 0, capsys.readouterr().err
        return Evaluation.model_validate_json((tmp_path / "model/evaluation.json").read_bytes())

    return run


@pytest.fixture
def packed(tmp_path):
    """The bundle of the last job, as SageMaker packs it."""

    def pack():
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w:gz") as tar:
            tar.add(tmp_path / "model", ".")
        return target.getvalue()

    return pack


def put(root, content, name="model.tar.gz"):
    folder = root / "input/data/champion"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


@pytest.mark.parametrize("target", ["two", "three", "amount"])
@pytest.mark.parametrize("algorithm", ["logistic_regression", "random_forest", "xgboost"])
def test_a_champion_that_is_the_same_model_has_the_same_figures(trained, packed, capsys, algorithm, target):
    if (algorithm, target) == ("logistic_regression", "amount"):
        pytest.skip("no regression")
    first = trained(mixed_table(), algorithm, target)
    assert first.champion is None
    again = trained(mixed_table(), algorithm, target, champion=packed())
    assert again.champion == Champion(version="m:1", rows=again.validation_rows, metrics=again.metrics, unseen=True)
    assert again.metrics == first.metrics
    assert "phase=champion version=m:1 metric=" in capsys.readouterr().out


def test_a_champion_of_another_algorithm_and_other_columns(trained, packed):
    first = trained(mixed_table(), "logistic_regression", exclude=("three", "amount", "a"))
    second = trained(mixed_table(), "xgboost", exclude=("three", "amount", "b"), champion=packed())
    assert second.champion.metrics == first.metrics
    assert second.champion.metrics != second.metrics


def test_figures_are_those_of_its_own_scores_on_the_held_out_rows(trained, packed, tmp_path):
    trained(mixed_table(800), seed=1)
    champion, content = bundle.load(tmp_path / "model"), packed()
    table = mixed_table(1500).append_column("more", pa.array(np.arange(1500.0)))
    found = trained(table, seed=2, champion=content).champion
    assert (found.rows, found.unseen, found.reason) == (300, False, None)
    assert 0.6 < found.metrics["auc"] < 1
    assert champion.manifest.metrics != found.metrics


def test_rows_split_by_hash_stay_unseen_in_a_longer_table(trained, packed):
    trained(mixed_table(1000), split="hash")
    content = packed()
    longer = pa.concat_tables([mixed_table(700, seed=5), mixed_table(1000)])
    assert trained(longer, split="hash", champion=content).champion.unseen is True
    assert trained(longer, split="hash", validation_fraction=0.1, champion=content).champion.unseen is True
    assert trained(longer, split="hash", validation_fraction=0.4, champion=content).champion.unseen is False
    assert trained(longer, split="hash", seed=1, champion=content).champion.unseen is False
    assert trained(longer, champion=content).champion.unseen is False
    renamed = longer.rename_columns({"amount": "sum"})
    found = trained(renamed, split="hash", exclude=("three", "sum"), champion=content).champion
    assert (found.unseen, found.reason) == (False, None)


def changed(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (lambda table: table.drop_columns("b"), {}, "It needs columns that this table does not have: 'b'."),
        (lambda table: table, {"target": "three"}, "It predicts 'two'; this job's target is 'three'."),
        (
            lambda table: changed(table, "two", pa.array([f"{x}!" for x in table["two"].to_pylist()])),
            {},
            "Its classes are 'false', 'true'; here they are 'False!', 'True!'.",
        ),
        (
            lambda table: changed(table, "two", table["amount"]),
            {},
            "It is a model of binary; here the target is regression.",
        ),
        (
            lambda table: changed(table, "city", pa.array(np.arange(1500.0))),
            {},
            "It takes column 'city' as categorical; in this table it is numeric.",
        ),
    ],
)
def test_a_champion_that_does_not_suit_is_said_with_its_reason(trained, packed, capsys, change, options, reason):
    trained(mixed_table())
    evaluation = trained(change(mixed_table()), champion=packed(), **options)
    assert evaluation.champion == Champion(version="m:1", reason=reason)
    assert f"the champion m:1 is not compared: {reason}" in capsys.readouterr().out


def archive(*members):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def link(kind, name, to):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, b""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be unpacked"),
        (b"no archive", "cannot be unpacked"),
        (archive((tarfile.TarInfo("../../escaped"), b"x")), "outside the destination"),
        (archive((tarfile.TarInfo("/escaped-champion"), b"x")), "manifest.json: not found"),
        (archive(link(tarfile.SYMTYPE, "manifest.json", "/etc/passwd")), "no plain file"),
        (archive(link(tarfile.LNKTYPE, "manifest.json", "/etc/passwd")), "no plain file"),
        (archive(link(tarfile.FIFOTYPE, "manifest.json", "")), "no plain file"),
        (archive((tarfile.TarInfo("manifest.json"), b"{}")), "format version"),
        (archive((tarfile.TarInfo("zeros"), bytes(3 << 20))), "far more than its size allows"),
    ],
)
def test_a_hostile_or_broken_archive_is_refused_and_the_job_goes_on(trained, tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(model_archive, "FREE_BYTES", 1 << 20)
    found = trained(mixed_table(), champion=content).champion
    assert found.metrics == {}
    assert reason in found.reason
    assert not list(tmp_path.rglob("escaped*"))


def test_a_bundle_that_was_tampered_with_is_refused(trained, packed, tmp_path):
    trained(mixed_table())
    (tmp_path / "model/model.ubj").write_bytes(b"other")
    assert "model.ubj: sha256" in trained(mixed_table(), champion=packed()).champion.reason


def test_a_champion_that_did_not_come_is_said(tmp_path):
    write_job(tmp_path, mixed_table(), QUICK["xgboost"], target="two", champion="m:7")
    assert train.main([]) == 0
    found = Evaluation.model_validate_json((tmp_path / "model/evaluation.json").read_bytes()).champion
    assert found == Champion(
        version="m:7", reason="input/data/champion holds 0 files; it must hold exactly one model.tar.gz."
    )
