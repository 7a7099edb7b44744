"""The card says what the bundle holds; names from data cannot become markup."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from mlops_contracts.bundle import Feature, Manifest
from mlops_contracts.evaluation import Champion
from tests.support.evaluation_data import FEATURES, binary_request, multiclass_request, regression_request
from training.evaluation import evaluate
from training.markdown import text
from training.model_card import number, render

HOSTILE = "a|b`c`<script>alert(1)</script>[x](http://evil.example)![i](y) *b* _u_ @you www.evil.example $m$ ~~s~~\n# h"


def manifest(request, evaluation, **changes):
    return Manifest(
        **{
            "algorithm": request.algorithm,
            "problem_type": request.problem_type,
            "target": request.target,
            "features": request.features,
            "classes": request.classes,
            "threshold": request.threshold,
            "dataset": "flights:2",
            "dataset_sha256": "ab" * 32,
            "seed": 7,
            "training_rows": evaluation.training_rows,
            "validation_rows": evaluation.validation_rows,
            "hyperparameters": {"C": 1.0, "class_weight": "none", "max_depth": None},
            "libraries": {"scikit-learn": "1.9.1"},
            "metrics": evaluation.metrics,
            "importance": {},
            "files": {},
            **changes,
        }
    )


def card(request, **changes):
    evaluation = evaluate(request)
    return render(manifest(request, evaluation, **changes), evaluation)


def parsed(markdown):
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)


def inline(tokens):
    return [child for token in tokens for child in (token.children or [])]


def headings(markdown):
    tokens = parsed(markdown)
    return [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]


def rows_of(markdown, heading):
    """Cells of the first table below a heading, header included."""
    section = markdown.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells, row = [], None
    for token in parsed(section):
        if token.type == "tr_open":
            row = []
        elif token.type == "inline" and row is not None:
            row.append("".join(child.content for child in token.children))
        elif token.type == "tr_close":
            cells.append(row)
        elif token.type == "table_close":
            return cells
    raise AssertionError(f"no table below {heading}")


def test_binary_card_has_every_section():
    found = headings(card(binary_request(ignored={"note": "text column"})))
    assert found == [
        "Model card: late",
        "Figures on held-out rows",
        "Classes",
        "Calibration",
        "Most important columns",
        "Where it does worse",
        "Data",
        "Signature",
        "Limits",
        "How it was made",
    ]


def test_figures_stand_beside_the_dummys():
    request = binary_request()
    evaluation = evaluate(request)
    rows = rows_of(card(request), "Figures on held-out rows")
    assert rows[0] == ["metric", "model", "dummy"]
    assert ["auc", number(evaluation.metrics["auc"]), "0.5"] in rows
    assert ["precision", number(evaluation.metrics["precision"]), number(evaluation.baseline.get("precision"))] in rows


def test_figures_stand_beside_the_champions():
    request = binary_request()
    evaluation = evaluate(request)

    def told(champion):
        judged = evaluation.model_copy(update={"champion": champion})
        return render(manifest(request, judged), judged)

    seen = told(Champion(version="m:3", rows=1000, metrics={"auc": 0.75}))
    assert rows_of(seen, "Figures on held-out rows")[0] == ["metric", "model", "dummy", "champion m:3"]
    assert rows_of(seen, "Figures on held-out rows")[1] == ["auc", number(evaluation.metrics["auc"]), "0.5", "0.75"]
    assert "may have been trained on some of these rows" in seen
    assert "may have been" not in told(Champion(version="m:3", rows=1000, metrics={}, unseen=True))
    assert "could not be judged on these rows: It needs a" in told(Champion(version="m:3", reason="It needs a"))


def test_facts_of_the_manifest_are_told():
    found = card(binary_request(threshold=0.3))
    for fact in ("flights:2", "ab" * 32, "3000 rows to train, 1000 held out", "seed 7", "at least 0.3"):
        assert fact in found
    assert ["max_depth", "no limit"] in rows_of(found, "How it was made")


@pytest.mark.parametrize("make", [multiclass_request, regression_request])
def test_other_problems_have_their_own_sections(make):
    request = make()
    found = headings(card(request))
    assert ("Errors" in found) == (request.problem_type == "regression")
    assert ("Calibration" in found) == (request.problem_type == "multiclass")


def test_warnings_come_before_figures():
    found = headings(card(binary_request(200)))
    assert found.index("Warnings") < found.index("Figures on held-out rows")


def test_signature_shows_ranges_and_a_cut_list_of_categories():
    features = (
        Feature(name="x0", type="numeric", required=True, minimum=-1.5, maximum=2000, example=3.0),
        Feature(name="late", type="boolean", required=False, example=True),
        Feature(name="city", type="categorical", required=True, categories=tuple(f"c{i}" for i in range(40))),
    )
    rows = rows_of(card(binary_request(), features=features), "Signature")
    assert rows[1:] == [
        ["x0", "numeric", "yes", "-1.5 to 2000", "3"],
        ["late", "boolean", "no", "true, false", "true"],
        ["city", "categorical", "yes", "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 30 more", ""],
    ]


def hostile_card():
    request = binary_request(200, target=HOSTILE, classes=(HOSTILE, "<img src=x onerror=alert(1)>"))
    features = tuple(
        Feature(name=f"{HOSTILE}{i}", type="categorical", required=True, categories=(HOSTILE,), example=HOSTILE)
        for i in range(3)
    )
    request = replace(request, ignored={f"- {HOSTILE}": HOSTILE, "1. one": "# x", "===": "---"})
    renamed = {name: f"{HOSTILE}{i}" for i, name in enumerate(feature.name for feature in FEATURES)}
    evaluation = evaluate(request)
    importance = tuple(one.model_copy(update={"feature": renamed[one.feature]}) for one in evaluation.importance)
    evaluation = evaluation.model_copy(update={"importance": importance})
    return render(
        manifest(request, evaluation, features=features, dataset=HOSTILE, libraries={HOSTILE: "1"}), evaluation
    )


def test_names_from_data_never_become_markup():
    tokens = parsed(hostile_card())
    kinds = {token.type for token in tokens} | {token.type for token in inline(tokens)}
    expected_kinds = {"text", "text_special", "inline", "softbreak", "strong_open", "strong_close"}
    blocks = ("heading", "paragraph", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td")
    assert kinds <= expected_kinds | {f"{block}_{end}" for block in blocks for end in ("open", "close")}
    assert re.search(r"(?<!\\)://|www\.", hostile_card()) is None


def test_names_from_data_keep_tables_and_headings_in_shape():
    found = hostile_card()
    assert len([one for one in headings(found) if one == "h"]) == 0
    for row in rows_of(found, "Signature"):
        assert len(row) == 5
    assert rows_of(found, "Signature")[1][0].startswith("a|b`c`<script>alert(1)</script>[x](http://evil.example)")


def test_plain_names_stay_readable():
    assert text("dep hour (UTC), 5%") == "dep hour (UTC), 5%"
    assert text("dep_hour") == "dep_hour"
    assert text("_dep_") == "\\_dep\\_"


def test_control_and_direction_characters_are_dropped_and_long_names_cut():
    assert text("a\x00b\u202ec\r\nd") == "a b c d"
    assert len(text("x" * 5000)) == 200


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (0.123456, "0.1235"),
        (2000.0, "2000"),
        (-3, "-3"),
        (1e20, "1e+20"),
        (123456.7, "123457"),
        (1.5e-7, "1.5e-07"),
    ],
)
def test_numbers_are_short(value, expected):
    assert number(value) == expected
