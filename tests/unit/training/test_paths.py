import subprocess
import sys
from pathlib import Path

from training.__main__ import main
from training.paths import MlPaths


def test_root_comes_from_the_environment_or_is_sagemakers():
    assert MlPaths.from_env({"MLOPS_ML_ROOT": "/somewhere"}).root == Path("/somewhere")
    assert MlPaths.from_env({"MLOPS_ML_ROOT": ""}).root == Path("/opt/ml")
    assert MlPaths.from_env({}).root == Path("/opt/ml")


def test_the_tree_is_sagemakers():
    paths = MlPaths(Path("/opt/ml"))
    assert paths.hyperparameters == Path("/opt/ml/input/config/hyperparameters.json")
    assert paths.resource_config == Path("/opt/ml/input/config/resourceconfig.json")
    assert paths.channel("training") == Path("/opt/ml/input/data/training")
    assert paths.model == Path("/opt/ml/model")
    assert paths.failure == Path("/opt/ml/output/failure")
    assert paths.checkpoints == Path("/opt/ml/checkpoints")


def test_unknown_program_is_refused_with_the_list(capsys):
    assert main(["trian"]) == 2
    assert "unknown program 'trian'; one of: train, serve, preprocess, transform" in capsys.readouterr().err
    assert main([]) == 2


def test_native_threads_are_tamed_before_anything_is_loaded():
    code = (
        "import os, sys; from training.native_threads import tame; tame();"
        "sys.exit(os.environ['OMP_WAIT_POLICY'] != 'PASSIVE' or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_preload_starts_no_thread():
    code = (
        "import os, sys; from training.preload import preload; preload();"
        "missing = [m for m in ('xgboost', 'sklearn.ensemble', 'pyarrow.parquet', 'duckdb') if m not in sys.modules];"
        "sys.exit(bool(missing) or len(os.listdir('/proc/self/task')) != 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dispatch_imports_only_what_is_named():
    code = "import sys, training.__main__; sys.exit(any(m in sys.modules for m in ('numpy', 'sklearn', 'xgboost')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
