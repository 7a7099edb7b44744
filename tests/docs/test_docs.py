"""Docs that can lie are tested."""

import re
from pathlib import Path

import pytest

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.app import create_app
from mlops_api.bootstrap import local_platform
from mlops_api.settings import Settings
from mlops_contracts.codes import VIOLATIONS, WARNINGS
from mlops_contracts.data_contract import DataContract

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_every_setting_is_documented_and_no_other() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    documented = set(re.findall(r"^\| `MLOPS_([A-Z_]+)`", text, re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


def test_ci_runs_the_readmes_test_command() -> None:
    assert re.search(r"^make test$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert "make check test" in (ROOT / ".ci/run").read_text()


def test_every_code_of_a_finding_is_documented_and_no_other() -> None:
    text = (ROOT / "docs/data.md").read_text()
    for title, codes in (("Violations", VIOLATIONS), ("Warnings", WARNINGS)):
        section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        assert dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.*) \|$", section, re.MULTILINE)) == codes


def test_the_contract_on_the_data_page_is_one() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", (ROOT / "docs/data.md").read_text(), re.MULTILINE | re.DOTALL)
    assert DataContract.model_validate_json(example).columns[2].unique


def test_the_api_page_lists_every_operation_and_no_other(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path / "data") as folder:
        settings = Settings(data_dir=folder.path)
        platform = local_platform(settings, folder, "http://127.0.0.1:1")
        paths = create_app(platform, settings).openapi()["paths"]
        platform.close()
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    listed = set(re.findall(r"^\| `([A-Z]+ [^`]+)`", (ROOT / "docs/api.md").read_text(), re.MULTILINE))
    assert listed == served
