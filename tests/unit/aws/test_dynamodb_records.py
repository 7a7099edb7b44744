"""What only DynamoDB does: pages cut at 1 MB, throttling, conflicts, answers that are lost."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from mlops_api.adapters.aws.clients import ATTEMPTS
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import TIME_TO_LIVE, create_table
from mlops_api.domain.errors import AlreadyExists, RevisionMismatch, Unavailable
from mlops_api.ports import Check, Count, Delete, Place, Put, Record
from tests.support.aws import counting, fresh_name, hooked, refusal, sending, throttled
from tests.support.emulators import Cloud

KIND = "thing"
CONTENTION_ATTEMPTS = 6


def at(key: str, sort: str, **changes: Any) -> Record:
    return replace(Record(KIND, key, {"key": key}, {"all": Place(KIND, sort)}), **changes)


class Altered:
    """A client whose operations are changed by name."""

    def __init__(self, client: Any, **operations: Callable[..., Any]) -> None:
        self._client = client
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        return self._operations.get(name) or getattr(self._client, name)


def altered(records: DynamoRecords, **operations: Callable[..., Any]) -> DynamoRecords:
    return DynamoRecords(Altered(records._client, **operations), records._table)


def narrow(records: DynamoRecords) -> DynamoRecords:
    """A call brings one record that is new: downwards two, as in 1 MB there always are, since one was seen before."""
    query = records._client.query

    def few(**request: Any) -> Any:
        return query(**request | {"Limit": 1 if request["ScanIndexForward"] else 2})

    return altered(records, query=few)


def pages(records: DynamoRecords, **options: Any) -> Iterator[list[str]]:
    token: str | None = None
    while True:
        page = records.query("all", KIND, token=token, **options)
        yield [record.key for record in page.records]
        token = page.next_token
        if token is None:
            return


class TestPages:
    @pytest.mark.parametrize("descending", [False, True])
    def test_a_page_ends_after_ten_calls_and_goes_on_behind(self, records: DynamoRecords, descending: bool) -> None:
        keys = [f"k{number:02}" for number in range(25)]
        records.write([Put(at(key, "same")) for key in keys])
        with counting(records._client) as calls:
            found = list(pages(narrow(records), limit=100, descending=descending))
        assert [key for page in found for key in page] == (keys[::-1] if descending else keys)
        assert max(map(len, found)) <= 11
        assert calls["Query"] <= 31

    def test_a_page_is_full_though_calls_bring_little(self, records: DynamoRecords) -> None:
        records.write([Put(at(f"k{number}", "1")) for number in range(8)])
        assert list(map(len, pages(narrow(records), limit=3))) == [3, 3, 2]

    def test_expired_records_in_the_way_end_no_listing(self, records: DynamoRecords) -> None:
        records.write([Put(at(f"a{number:02}", "1", expires_at=1)) for number in range(24)])
        records.put(at("live", "2"))
        found = list(pages(narrow(records), limit=5))
        assert [key for page in found for key in page] == ["live"]
        assert found[0] == []

    def test_the_end_of_a_page_may_be_deleted(self, records: DynamoRecords) -> None:
        records.write([Put(at(f"k{number}", "1")) for number in range(6)])
        for descending, wanted in ((False, ["k3", "k4", "k5"]), (True, ["k1", "k0"])):
            token = records.query("all", KIND, limit=3, descending=descending).next_token
            records.delete(KIND, "k2" if not descending else "k3")
            page = records.query("all", KIND, descending=descending, token=token)
            assert [record.key for record in page.records] == wanted

    def test_counting_goes_on_over_pages_and_ends(self, records: DynamoRecords) -> None:
        records.write([Put(at(f"k{number:02}", "1")) for number in range(18)])
        records.put(at("gone", "1", expires_at=1))
        assert narrow(records).count("all", KIND) == Count(18, exact=True)
        assert narrow(records).count("all", KIND, cap=4) == Count(4, exact=False)
        records.write([Put(at(f"l{number:02}", "1")) for number in range(10)])
        counted = narrow(records).count("all", KIND)
        assert not counted.exact
        assert 10 < counted.value < 28


class TestCalls:
    def test_each_method_is_one_call(self, records: DynamoRecords) -> None:
        with counting(records._client) as calls:
            stored = records.put(at("a", "1"))
            records.get(KIND, "a")
            records.get_many([(KIND, "a"), (KIND, "b")])
            records.query("all", KIND)
            records.count("all", KIND)
            records.write([Put(replace(stored, data={})), Check(KIND, "x", 0)])
            records.delete(KIND, "a")
            records.ready()
        assert calls == Counter(PutItem=1, GetItem=2, BatchGetItem=1, Query=2, TransactWriteItems=1, DeleteItem=1)

    def test_records_are_read_strongly(self, records: DynamoRecords) -> None:
        requests: list[Mapping[str, Any]] = []
        with hooked(records._client, "provide-client-params", lambda params, **_: requests.append(params)):
            records.get_many([(KIND, "a")])
            records.ready()
            with pytest.raises(Exception, match="no thing"):
                records.get(KIND, "a")
        assert requests[0]["RequestItems"][records._table]["ConsistentRead"] is True
        assert requests[2]["ConsistentRead"] is True


class TestBatches:
    def test_what_was_not_processed_is_asked_for_again(self, records: DynamoRecords, pauses: list[float]) -> None:
        names = [(KIND, f"k{number}") for number in range(10)]
        records.write([Put(at(key, "1")) for _, key in names])

        def three(RequestItems: Any) -> Any:
            [(table, request)] = RequestItems.items()
            now, later = request["Keys"][:3], request["Keys"][3:]
            answer = client.batch_get_item(RequestItems={table: request | {"Keys": now}})
            return answer | {"UnprocessedKeys": {table: request | {"Keys": later}} if later else {}}

        client = records._client
        assert sorted(altered(records, batch_get_item=three).get_many(names)) == sorted(names)

    def test_it_ends_when_nothing_is_processed(self, records: DynamoRecords, pauses: list[float]) -> None:
        def nothing(RequestItems: Any) -> Any:
            return {"Responses": {}, "UnprocessedKeys": RequestItems}

        with pytest.raises(Unavailable, match="throttling"):
            altered(records, batch_get_item=nothing).get_many([(KIND, "a")])
        assert sum(pauses) < 5


OPERATIONS: dict[str, Callable[[DynamoRecords], object]] = {
    "GetItem": lambda records: records.get(KIND, "here"),
    "BatchGetItem": lambda records: records.get_many([(KIND, "here")]),
    "PutItem": lambda records: records.put(at("new", "1")),
    "DeleteItem": lambda records: records.delete(KIND, "here"),
    "TransactWriteItems": lambda records: records.write([Put(at("new", "1")), Delete(KIND, "here")]),
    "Query": lambda records: records.query("all", KIND),
}


class TestThrottling:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
    def test_some_are_absorbed_and_one_more_is_unavailable(
        self, records: DynamoRecords, pauses: list[float], operation: str, code: str
    ) -> None:
        records.put(at("here", "1"))
        absorbed = ATTEMPTS - 1
        with throttled(records._client, operation, absorbed + 1, code) as answered:
            with pytest.raises(Unavailable, match=code) as caught:
                OPERATIONS[operation](records)
        assert len(answered) == absorbed + 1
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "2")
        with throttled(records._client, operation, absorbed, code) as answered:
            OPERATIONS[operation](records)
        assert len(answered) == absorbed
        assert sum(pauses) < 10

    def test_an_error_of_aws_is_unavailable_too(self, records: DynamoRecords, pauses: list[float]) -> None:
        with throttled(records._client, "GetItem", ATTEMPTS, "InternalServerError", status=500):
            with pytest.raises(Unavailable, match="InternalServerError"):
                records.get(KIND, "a")

    def test_what_nobody_knows_passes_through(self, records: DynamoRecords) -> None:
        elsewhere = DynamoRecords(records._client, "no-such-table")
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            elsewhere.get(KIND, "a")
        with pytest.raises(Unavailable, match="no-such-table"):
            elsewhere.ready()


def conflicts(times: int, reasons: list[dict[str, str]]) -> Callable[..., AWSResponse | None]:
    left = [None] * times
    body = {"CancellationReasons": reasons}
    return lambda **_: refusal_of("TransactionCanceledException", body) if left and left.pop() is None else None


def refusal_of(code: str, members: Mapping[str, Any]) -> AWSResponse:
    return refusal(400, orjson.dumps({"__type": f"aws#{code}", "message": code, **members}))


CONFLICT = [{"Code": "None"}, {"Code": "TransactionConflict"}]
WRITES = [Put(at("a", "1")), Put(at("b", "1"))]


class TestContention:
    def test_conflicts_of_transactions_are_absorbed(self, records: DynamoRecords, pauses: list[float]) -> None:
        times = CONTENTION_ATTEMPTS - 1
        with hooked(records._client, "before-send", conflicts(times, CONFLICT), operation="TransactWriteItems"):
            records.write(WRITES)
        assert len(records.query("all", KIND).records) == 2
        assert 0 < sum(pauses) < 5

    def test_one_more_is_unavailable(self, records: DynamoRecords, pauses: list[float]) -> None:
        answer = conflicts(CONTENTION_ATTEMPTS, CONFLICT)
        with hooked(records._client, "before-send", answer, operation="TransactWriteItems"):
            with pytest.raises(Unavailable, match="thing a and 1 more"):
                records.write(WRITES)
        assert not records.query("all", KIND).records

    def test_a_put_beside_a_transaction_is_repeated(self, records: DynamoRecords, pauses: list[float]) -> None:
        left = [1, 2]
        answer = lambda **_: refusal_of("TransactionConflictException", {}) if left and left.pop() else None  # noqa: E731
        with hooked(records._client, "before-send", answer, operation="PutItem"):
            assert records.put(at("a", "1")).revision == 1
        assert len(pauses) == 2

    def test_a_failed_condition_beside_a_conflict_is_what_counts(self, records: DynamoRecords) -> None:
        reasons = [{"Code": "TransactionConflict"}, {"Code": "ConditionalCheckFailed"}]
        with hooked(records._client, "before-send", conflicts(1, reasons), operation="TransactWriteItems"):
            with pytest.raises(AlreadyExists, match="thing b"):
                records.write(WRITES)

    def test_other_reasons_pass_through(self, records: DynamoRecords) -> None:
        reasons = [{"Code": "ValidationError"}, {"Code": "TransactionConflict"}]
        with hooked(records._client, "before-send", conflicts(1, reasons), operation="TransactWriteItems"):
            with pytest.raises(ClientError, match="TransactionCanceledException"):
                records.write(WRITES)


@contextmanager
def losing_answers(client: Any, operation: str) -> Iterator[list[int]]:
    """The next request of `operation` reaches the service, and its answer is lost; yields the statuses lost."""
    lost: list[int] = []

    def lose(request: Any, **_: Any) -> AWSResponse | None:
        if lost:
            return None
        lost.append(URLLib3Session().send(request).status_code)
        return refusal(500, b"{}")

    with hooked(client, "before-send", lose, operation=operation):
        yield lost


class TestLostAnswers:
    """botocore repeats the request, which then meets what it wrote itself."""

    def test_a_create(self, records: DynamoRecords, pauses: list[float]) -> None:
        with losing_answers(records._client, "PutItem") as lost, sending(records._client) as requests:
            assert records.put(at("a", "1")).revision == 1
        assert (lost, requests["PutItem"]) == ([200], 2)
        with pytest.raises(AlreadyExists):
            records.put(at("a", "1"))

    def test_an_update(self, records: DynamoRecords, pauses: list[float]) -> None:
        stored = records.put(at("a", "1"))
        with losing_answers(records._client, "PutItem"):
            assert records.put(stored).revision == 2
        assert records.get(KIND, "a").revision == 2
        with pytest.raises(RevisionMismatch, match="revision 2; revision 1"):
            records.put(stored)

    def test_a_delete(self, records: DynamoRecords, pauses: list[float]) -> None:
        records.put(at("a", "1"))
        with losing_answers(records._client, "TransactWriteItems") as lost:
            records.delete(KIND, "a", revision=1)
        assert lost == [200]

    def test_a_transaction(self, records: DynamoRecords, pauses: list[float]) -> None:
        stored = records.put(at("b", "1"))
        with losing_answers(records._client, "TransactWriteItems") as lost:
            records.write([Put(at("a", "1")), Put(stored)])
        assert lost == [200]
        assert [record.revision for record in records.query("all", KIND).records] == [1, 2]

    def test_a_transaction_whose_token_is_not_honoured(self, records: DynamoRecords, pauses: list[float]) -> None:
        token = iter(["0" * 32, "1" * 32])

        def another_token(request: Any, **_: Any) -> None:
            body = orjson.loads(request.data)
            request.data = orjson.dumps(body | {"ClientRequestToken": next(token)})

        with (
            losing_answers(records._client, "TransactWriteItems") as lost,
            hooked(records._client, "before-sign", another_token, operation="TransactWriteItems"),
        ):
            records.write(WRITES)
        assert lost == [200]
        assert [record.revision for record in records.query("all", KIND).records] == [1, 1]

    def test_another_writers_record_is_never_taken_for_ones_own(
        self, records: DynamoRecords, pauses: list[float]
    ) -> None:
        """The other stores the very same content between the two requests."""
        first = threading.Event()

        def refuse_once(**_: Any) -> AWSResponse | None:
            if first.is_set():
                return None
            first.set()
            records.put(at("a", "1"))
            return refusal(500, b"{}")

        with hooked(records._client, "before-send", refuse_once, operation="PutItem"):
            with pytest.raises(AlreadyExists):
                records.put(at("a", "1"))


def test_the_table_drops_what_has_expired(moto: Cloud) -> None:
    name = fresh_name("records")
    create_table(moto.clients.dynamodb, name)
    described = moto.clients.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": TIME_TO_LIVE}
