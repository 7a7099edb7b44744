"""Any small typed table either trains, or is refused with a reason that the user can act on."""

import numpy as np
import pyarrow as pa
import pytest

from tests.support.training_data import write_job
from training import bundle, train

ROWS = (3, 11, 15, 30, 60, 250)


def feature(draw, rows):
    values = [
        draw.normal(size=rows),
        np.full(rows, 7.0),
        draw.integers(0, 2, rows).astype(bool),
        np.array([f"L{level}" for level in draw.integers(0, max(1, rows // 2), rows)]),
        draw.normal(size=rows) * 10.0 ** draw.integers(-300, 300, rows),
        draw.integers(-(2**60), 2**60, rows),
    ][draw.integers(6)]
    return pa.array(values, mask=draw.random(rows) < draw.choice([0, 0.1, 0.9, 1.0]))


def target(draw, rows):
    values = [
        draw.integers(0, 2, rows),
        draw.integers(0, 4, rows),
        np.array(["a", "b", "c"])[draw.integers(0, 3, rows)],
        draw.normal(size=rows) * 10.0 ** draw.integers(-5, 90),
        draw.random(rows) < 0.1,
    ][draw.integers(5)]
    return pa.array(values, mask=draw.random(rows) < draw.choice([0, 0.2]))


@pytest.mark.parametrize("algorithm", ["xgboost", "random_forest", "logistic_regression"])
@pytest.mark.parametrize("seed", range(25))
def test_trains_or_says_why_not(tmp_path, monkeypatch, seed, algorithm):
    monkeypatch.setenv("MLOPS_ML_ROOT", str(tmp_path))
    monkeypatch.setenv("MLOPS_THREADS", "1")
    draw = np.random.default_rng(seed)
    rows = int(draw.choice(ROWS))
    columns = {f"f{j}": feature(draw, rows) for j in range(int(draw.integers(1, 5)))}
    table = pa.table(columns | {"y": target(draw, rows), "t": draw.integers(0, rows, rows)})
    chosen = {} if algorithm == "logistic_regression" else {"n_estimators": 6}
    chosen |= {"class_weight": "balanced"} if draw.random() < 0.4 else {}
    write_job(tmp_path, table, chosen, algorithm=algorithm, time_column="t" if draw.random() < 0.3 else None)
    if train.main([]) == 0:
        assert bundle.load(tmp_path / "model").manifest.metrics
    else:
        assert not (tmp_path / "output" / "failure").read_text().startswith("Unexpected")
