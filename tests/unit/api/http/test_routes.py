"""The routes, each through the app: statuses, shapes, pages, and that paths lead somewhere."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mlops_api.domain.models import Approve
from mlops_contracts.dataset import Finding
from tests.support.platform import ANN, World, a_manifest, a_report, an_evaluation, processing_job
from tests.support.web import Web

CONTENT = b"a,b\n1,2\n3,4\n"
SHA256 = "85a63ee99ec5d7f1cfa3bfe2a60b2c4b0b0d6c20b4b9dbb0d8b2ea1bbd5c8b0e"


def ok(answer: httpx.Response, status: int = 200):
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def test_the_whole_way_from_a_file_to_a_prediction(here: World, site: Web) -> None:
    body = {"name": "flights", "filename": "f.csv", "size_bytes": len(CONTENT), "sha256": SHA256}
    created = ok(site.post("/datasets", body, headers={"Idempotency-Key": "k"}), 201)
    assert ok(site.post("/datasets", body, headers={"Idempotency-Key": "k"}), 201)["version"] == created["version"]
    [part] = created["upload"]["parts"]
    sent = site(part["method"], part["url"], content=CONTENT, headers=part["headers"])
    parts = [{"part_number": 1, "etag": sent.headers["ETag"]}]
    assert ok(site.post("/datasets/flights:1/complete", {"parts": parts}), 202)["status"] == "Validating"
    here.processing.complete("flights-v1", a_report())
    here.tell("processing", "flights-v1")
    assert ok(site.get("/datasets/flights:1"))["status"] == "Ready"

    asked = {"dataset": "flights:latest", "target": "late", "algorithm": "xgboost", "model": "flights"}
    job = ok(site.post("/training/start", asked), 202)["job"]
    here.training.complete(job, a_manifest(), an_evaluation(a_manifest()))
    here.tell("training", job)
    assert ok(site.get(f"/training/jobs/{job}"))["model_version"] == "flights:1"

    assert ok(site.put("/models/flights:1/approve", {"deploy": True}))["deployment"] == "Creating"
    here.host.loaded("flights")
    here.tell("endpoint", "flights")
    rows = {"model": "flights", "instances": [{"carrier": "UA"}]}
    assert ok(site.post("/inference/predict", rows))["model_version"] == "flights:1"
    csv = site(
        "POST", "/inference/predict?model=flights", content=b"carrier\nUA\n", headers={"Content-Type": "text/csv"}
    )
    assert ok(csv)["predictions"] == [{"value": 11.0}]

    batch = ok(site.post("/inference/batch", {"model": "flights", "input": "flights:1"}), 202)["transform_job"]
    here.transform.complete(batch, b"value\n1\n", rows=100)
    here.tell("transform", batch)
    results = ok(site.get(f"/inference/batch/{batch}/results"))
    assert site.get(results["url"]).content == b"value\n1\n"


def test_the_colon_of_an_id_may_be_escaped(here: World, site: Web) -> None:
    here.ready()
    assert ok(site.get("/datasets/flights%3A1"))["version"] == "flights:1"


def test_deletions_answer_without_a_body(here: World, site: Web) -> None:
    here.ready()
    answer = site("DELETE", "/datasets/flights:1")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models?limit=0", 422),
        ("/models?limit=201", 422),
        ("/models?sort=metric", 422),
        ("/models?approval_status=approved", 422),
        ("/models?model=a%20b", 422),
        ("/training/jobs?sort=metric&status=Failed&model=m", 422),
        ("/training/jobs/no-job/logs?after=99999999999999999999999", 422),
        ("/dashboard/activity?wait=21", 422),
        ("/dashboard/activity?wait=nan", 422),
        ("/models/flights:1/compare", 422),
        ("/datasets?name=-", 422),
        ("/inference/endpoints/a.b", 422),
        ("/inference/batch/a%0Ab", 422),
    ],
)
def test_parameters_out_of_bounds_are_refused(site: Web, path: str, status: int) -> None:
    assert site.get(path).status_code == status


def test_every_path_the_dashboard_gives_leads_somewhere(here: World, site: Web) -> None:
    version = here.approved(deploy=True)
    here.approved(deploy=True)
    here.trained("penguins")
    job = here.start("flights:1").job
    here.training.end(job, "Failed", "no")
    here.tell("training", job)
    here.start("flights:1")
    rejected = here.uploaded()
    here.processing.complete(processing_job(rejected), a_report((), Finding(code="x", message="y")))
    here.tell("processing", processing_job(rejected))
    batch = here.batch(version.version).transform_job
    here.transform.end(batch, "Failed", "no")
    here.tell("transform", batch)
    here.platform.registry.approve(ANN, here.trained("wines").version, Approve(deploy=True), None)
    here.host.failed("wines", "no")
    here.tell("endpoint", "wines")
    found = ok(site.get("/dashboard/stats"))
    paths = set(paths_in(found)) | set(paths_in(ok(site.get("/dashboard/activity?limit=200"))))
    assert {path.split("?")[0].split("/")[1] for path in paths} == {
        "datasets",
        "pipelines",
        "training",
        "models",
        "inference",
    }
    assert len(paths) > 25
    assert {path: site.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


def paths_in(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["path"]] if value.get("path") else []
        return own + [path for item in value.values() for path in paths_in(item)]
    return [path for item in value for path in paths_in(item)] if isinstance(value, list) else []


def test_every_path_of_a_lineage_leads_somewhere(here: World, site: Web) -> None:
    version = here.approved(deploy=True).version
    here.batch(version)
    nodes = ok(site.get("/models/flights:champion/lineage"))["nodes"]
    assert len(nodes) == 5
    assert [site.get(node["path"]).status_code for node in nodes] == [200] * 5


# ---- pages people open


def test_the_documentation_asks_no_other_host(site: Web) -> None:
    page = site.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        answer = site.get(asset)
        assert (answer.status_code, len(answer.content) > 50) == (200, True), asset


def test_the_front_page_leads_to_the_ui(site: Web) -> None:
    answer = site.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/ui/")
    assert site.get("/ui/").status_code == 200
    links = re.findall(r'href="([^"]+)"', site.get("/ui/").text)
    assert [site.get(link).status_code for link in links] == [200] * len(links)


def test_the_schema_has_one_clean_operation_id_each(site: Web) -> None:
    schema = ok(site.get("/openapi.json"))
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    identities = [operation["operationId"] for operation in operations]
    assert len(set(identities)) == len(identities) > 35
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", identity) for identity in identities)


def test_every_reference_in_the_schema_resolves(site: Web) -> None:
    schema = ok(site.get("/openapi.json"))
    references = set(references_in(schema))
    assert len(references) > 30
    for reference in references:
        found = schema
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found, reference


def references_in(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references_in(item)]
    return [found for item in value for found in references_in(item)] if isinstance(value, list) else []


# ---- long poll


def test_many_long_polls_hold_no_thread(here: World, site: Web) -> None:
    here.create()
    [last] = ok(site.get("/dashboard/activity"))["activity"]
    with ThreadPoolExecutor(60) as pool:
        polls = [
            pool.submit(site.get, "/dashboard/activity", params={"after": last["id"], "wait": 2}) for _ in range(60)
        ]
        time.sleep(0.5)
        assert not any(poll.done() for poll in polls)
        slowest = 0.0
        for _ in range(10):
            start = time.perf_counter()
            ok(site.get("/models"))
            slowest = max(slowest, time.perf_counter() - start)
        assert not any(poll.done() for poll in polls)
        here.create("news")
        answers = [ok(poll.result(10)) for poll in polls]
    assert slowest < 1
    assert all([entry["subject"] for entry in answer["activity"]] == ["news:1"] for answer in answers)
