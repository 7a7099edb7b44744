"""What the images install is what their code imports."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = {"sklearn": "scikit-learn", "xgboost": "xgboost-cpu"}
OWN = {"training", "mlops_contracts", "mlops_statistics"}


def imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_the_ml_image_installs_what_it_imports_and_no_more() -> None:
    modules = {*imported(ROOT / "training"), *imported(ROOT / "src/mlops_contracts")} - sys.stdlib_module_names - OWN
    wanted = {DISTRIBUTIONS.get(module, module) for module in modules}
    lines = (ROOT / "requirements/ml.in").read_text().splitlines()
    assert {line.partition(";")[0] for line in lines if line and not line.startswith("#")} == wanted


def test_the_api_image_installs_what_the_function_imports() -> None:
    code = ROOT / "src/mlops_api"
    modules = {*imported(code), *imported(ROOT / "src/mlops_contracts")} - sys.stdlib_module_names - OWN - {"mlops_api"}
    wanted = {module.replace("_", "-") for module in modules}
    pinned = {line.partition("==")[0] for line in (ROOT / "requirements/api.txt").read_text().splitlines()}
    assert wanted <= pinned
    assert {"boto3", "mangum", "awslambdaric"} <= pinned
    assert pinned & {"numpy", "pandas", "scikit-learn", "xgboost-cpu", "pyarrow", "duckdb", "moto", "pytest"} == set()
