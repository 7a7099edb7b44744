"""The API process stays slim: what it imports decides how fast it starts, here and in Lambda."""

import subprocess
import sys

import pytest

ML = {"numpy", "pandas", "sklearn", "xgboost", "scipy", "pyarrow", "duckdb", "sagemaker", "onnxruntime", "training"}
FUNCTION = "import mlops_api.lambda_entry, mlops_api.adapters.aws.stack"
SERVER = {"fastapi", "starlette", "uvicorn", "boto3", "sqlite3"}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def imported_by(statement: str) -> set[str]:
    return {name.partition(".")[0] for name in modules_after(statement)}


def test_the_guard_sees_what_is_imported() -> None:
    assert "numpy" in imported_by("import numpy")


@pytest.mark.parametrize(
    "module",
    [
        "mlops_api.app",
        "mlops_api.bootstrap",
        "mlops_api.cli.main",
        "mlops_api.cli.up",
        "mlops_api.client",
        "mlops_api.lambda_handler",
        "mlops_api.adapters.aws.stack",
    ],
)
def test_no_ml_library_in_the_api_process(module: str) -> None:
    assert imported_by(f"import {module}") & ML == set()


@pytest.mark.parametrize("module", ["mlops_api.client", "mlops_api.cli.main"])
def test_client_and_cli_do_not_load_the_server(module: str) -> None:
    assert imported_by(f"import {module}") & SERVER == set()


def test_boto3_is_not_loaded_in_local_mode() -> None:
    assert "boto3" not in imported_by("import mlops_api.bootstrap, mlops_api.cli.up")


def test_the_lambda_function_starts_without_what_it_does_not_serve_with() -> None:
    """Each takes a part of every cold start; boto3 comes with the first file."""
    loaded = imported_by(FUNCTION)
    assert loaded & {"uvicorn", "uvloop", "httpx", "typer", "rich", "sqlite3", "boto3", "s3transfer", "dotenv"} == set()


def test_routers_services_and_adapters_wait_for_a_request_that_needs_them() -> None:
    """So a new one costs a cold start nothing. What is named here every request needs."""
    loaded = modules_after(FUNCTION)
    assert {name for name in loaded if name.startswith("mlops_api.routers.")} == {"mlops_api.routers.depends"}
    services = {name.rpartition(".")[2] for name in loaded if name.startswith("mlops_api.services.")}
    assert services == {"identity", "once", "platform", "policy", "principal", "repair"}
    assert not {name for name in loaded if name.startswith("mlops_api.adapters.") and "sagemaker" in name}
    assert "mlops_api.domain.models" not in loaded
