"""Every awkward table gets its exact verdict, and no accepted table holds a wrong cell."""

from dataclasses import replace

import pytest

from mlops_contracts.dataset import Finding
from tests.support.corpus import CASES, Case
from tests.support.preprocessing import assert_same_cells, preprocess
from training.preprocess.limits import Limits


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in CASES])
def test_verdict(case: Case, tmp_path):
    limits = replace(Limits(threads=2), **case.limits)
    outcome = preprocess(tmp_path, case.bytes(), case.filename, limits=limits, **case.config)
    for finding in (*outcome.report.quality.violations, *outcome.report.quality.warnings):
        _assert_helpful(finding)
    assert outcome.violations == list(case.violations)
    if case.violations:
        assert case.says in outcome.report.quality.violations[0].message
        if case.lines is not None:
            assert tuple(each.line for each in outcome.report.quality.violations) == case.lines
        assert outcome.report.quality.violation_count == (case.count or len(case.violations))
        return
    assert outcome.types == case.types
    assert outcome.warnings == case.warnings
    assert {place: outcome.values(place[1])[place[0] - 1] for place in case.cells} == case.cells
    if case.text:
        assert_same_cells(outcome, case.text)


def _assert_helpful(finding: Finding) -> None:
    """Two statements at least: what is wrong, and what to do."""
    assert finding.message.endswith("."), finding
    assert 30 < len(finding.message) < 400, finding
    assert any(mark in finding.message for mark in (". ", "; ")), finding


def test_corpus_names_are_unique():
    assert len({each.name for each in CASES}) == len(CASES) >= 30
