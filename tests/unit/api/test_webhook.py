"""The local Notifier: signatures, and what a receiver answers."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from mlops_api.adapters.local.pinned_https import PinnedPost
from mlops_api.adapters.local.webhook import Webhook, signed_headers
from mlops_api.domain.errors import Unavailable
from mlops_api.domain.webhooks import parse_webhook_secret
from mlops_api.ports import Notice
from tests.support.notifiers import SECRET, WebhookReceiver, webhook_receiver

NOTICE = Notice("key-1", "training.failed", "error", "It failed", "Why", "2026-11-22T12:00:00.000000Z")


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


def webhook(url: str) -> Webhook:
    return Webhook(urlsplit(url), parse_webhook_secret(SECRET), PinnedPost(loopback=True))


def test_the_published_example_of_standard_webhooks() -> None:
    headers = signed_headers(
        parse_webhook_secret(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 429, 500, 503])
def test_anything_but_success_is_tried_again(receiver: WebhookReceiver, status: int) -> None:
    with receiver.answering(status), pytest.raises(Unavailable, match=str(status)):
        webhook(receiver.url).send(NOTICE)


def test_a_redirect_says_that_it_is_not_followed(receiver: WebhookReceiver) -> None:
    with receiver.answering(302, receiver.url), pytest.raises(Unavailable, match="not followed"):
        webhook(receiver.url).send(NOTICE)
    assert receiver.requests == []


def test_nobody_listening_is_tried_again() -> None:
    with webhook_receiver() as receiver:
        url = receiver.url
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        webhook(url).send(NOTICE)


def test_an_error_names_the_host_alone(receiver: WebhookReceiver) -> None:
    """Chat services keep their secret in the path."""
    with receiver.answering(500), pytest.raises(Unavailable) as caught:
        webhook(receiver.url).send(NOTICE)
    assert "hooks/mlops" not in caught.value.detail
    assert "room=ml" not in caught.value.detail
