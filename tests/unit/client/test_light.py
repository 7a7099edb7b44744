"""The client and the command line stay light: what they import is part of the product."""

import subprocess
import sys

import pytest

HEAVY = {
    "fastapi", "starlette", "uvicorn", "boto3", "botocore", "numpy", "pandas", "sklearn", "xgboost", "scipy", "pyarrow",
    "duckdb", "training", "mlops_api.app", "mlops_api.services", "mlops_api.adapters",
}  # fmt: skip


def imported(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("statement", ["import mlops_api.client", "import mlops_api.client, mlops_api.cli.main"])
def test_nothing_heavy_is_imported(statement) -> None:
    assert not imported(statement) & HEAVY


def test_the_command_line_imports_no_client_until_a_command_runs() -> None:
    assert not imported("import mlops_api.cli.main") & (HEAVY | {"httpx", "pydantic", "mlops_api.client", "rich"})
