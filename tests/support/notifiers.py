"""A receiver behind every Notifier, and what it received, in one shape."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from mlops_api.adapters.aws.clients import Client
from mlops_api.adapters.aws.sns_notifier import SnsNotifier
from mlops_api.adapters.local.pinned_https import PinnedPost
from mlops_api.adapters.local.webhook import Webhook
from mlops_api.domain.times import parse_rfc3339, utc_now
from mlops_api.domain.webhooks import parse_webhook_secret
from mlops_api.ports import Notifier
from tests.support.aws import fresh_name, throttled
from tests.support.emulators import Cloud

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of these tests only
_LATE = 300


@dataclass(frozen=True)
class Received:
    key: str
    kind: str
    severity: str
    at: str
    path: str | None
    text: str


@dataclass
class Outside:
    """`received(n)` waits for n notices, and gives all that arrived since the last look. `refusing`: the receiver takes
    nothing now. `gone`: it never will again."""

    notifier: Notifier
    received: Callable[[int], list[Received]]
    refusing: Callable[[], AbstractContextManager[Any]]
    gone: Callable[[], Notifier]
    topic: str = ""


# ---- a webhook


@dataclass
class WebhookReceiver:
    """Verifies as a receiver has to, with no help of the code under test; answers `status`."""

    url: str = ""
    status: int = 204
    location: str = ""
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    def take(self) -> list[Received]:
        taken, self.requests = self.requests, []
        return [_verified(headers, body) for headers, body in taken]

    @contextmanager
    def answering(self, status: int, location: str = "") -> Iterator[None]:
        before = self.status, self.location
        self.status, self.location = status, location
        try:
            yield
        finally:
            self.status, self.location = before


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if 200 <= receiver.status < 300:
                receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/mlops?room=ml"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _verified(headers: Mapping[str, str], body: bytes) -> Received:
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert abs(int(headers["webhook-timestamp"]) - utc_now().timestamp()) < _LATE
    document = json.loads(body)
    data = document["data"]
    assert data["alert"] == headers["webhook-id"]
    parse_rfc3339(document["timestamp"])
    text = f"{data['subject']}\n{data['body']}"
    return Received(data["alert"], document["type"], data["severity"], document["timestamp"], data["path"], text)


@contextmanager
def webhook_outside() -> Iterator[Outside]:
    with webhook_receiver() as receiver:
        key, url = parse_webhook_secret(SECRET), urlsplit(receiver.url)
        yield Outside(
            Webhook(url, key, PinnedPost(loopback=True)),
            lambda _: receiver.take(),
            refusing=lambda: receiver.answering(503),
            gone=lambda: Webhook(url, key, PinnedPost(loopback=False)),
        )


# ---- an SNS topic


@contextmanager
def sns_outside(cloud: Cloud) -> Iterator[Outside]:
    """The topic's messages go to a queue, as they would to a subscriber."""
    sns, sqs = cloud.clients.sns, cloud.clients.client("sqs")
    topic = sns.create_topic(Name=fresh_name("alerts"))["TopicArn"]
    queue = sqs.create_queue(QueueName=fresh_name("alerts"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _policy(arn, topic)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def gone() -> Notifier:
        sns.delete_topic(TopicArn=topic)
        return SnsNotifier(cloud.clients, topic)

    yield Outside(
        SnsNotifier(cloud.clients, topic),
        lambda wanted: _take(sqs, queue, wanted),
        refusing=lambda: throttled(sns, "Publish", 100, "Throttling"),
        gone=gone,
        topic=topic,
    )


def _policy(queue: str, topic: str) -> str:
    """Who may send to the queue: SNS, for this topic."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _take(sqs: Client, queue: str, wanted: int) -> list[Received]:
    """Long polls until `wanted` messages came, then one look for more; at most ten looks in vain."""
    found: list[Received] = []
    vain = 0
    while vain < 10:
        wait = 1 if len(found) < wanted else 0
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        messages = answer.get("Messages", [])
        for message in messages:
            found.append(_published(json.loads(message["Body"])))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        if not messages and not wait:
            return found
        vain += not messages
    return found


def _published(envelope: Mapping[str, Any]) -> Received:
    values = {name: attribute["Value"] for name, attribute in envelope["MessageAttributes"].items()}
    assert envelope["Subject"].isascii()
    assert len(envelope["Subject"]) < 100
    return Received(
        values["key"], values["kind"], values["severity"], values["at"], values.get("path"), envelope["Message"]
    )
