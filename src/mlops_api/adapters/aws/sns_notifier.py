"""Notifier on an SNS topic: people subscribe to it by mail, SMS, queue or chat, and filter by the attributes.

attributes   key, kind, severity, at, path (where there is one)
subject      for mail: ASCII, at most 99 characters
"""

from collections.abc import Mapping
from typing import Any

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.errors import translated
from mlops_api.adapters.notice_rules import check_notice, text_of
from mlops_api.domain.errors import Invalid
from mlops_api.ports import Notice, Receipt

_MAX_SUBJECT = 99
_NEVER = ("NotFound", "NotFoundException", "InvalidParameter", "AuthorizationError", "AccessDenied", "KMSAccessDenied")


class SnsNotifier:
    """As ports.Notifier promises."""

    def __init__(self, clients: AwsClients, topic_arn: str) -> None:
        self._clients = clients
        self._topic_arn = topic_arn

    def send(self, notice: Notice) -> Receipt:
        check_notice(notice)
        with translated("the SNS topic", dict.fromkeys(_NEVER, _misconfigured)):
            answer = self._clients.sns.publish(
                TopicArn=self._topic_arn,
                Subject=_subject(notice),
                Message=text_of(notice),
                MessageAttributes=_attributes(notice),
            )
        return Receipt("sns", answer["MessageId"])


def _subject(notice: Notice) -> str:
    """What mail does not carry as it is becomes a question mark; the message has it whole."""
    ascii_only = notice.subject.encode("ascii", "replace").decode().strip() or notice.kind
    return ascii_only if len(ascii_only) <= _MAX_SUBJECT else ascii_only[: _MAX_SUBJECT - 3] + "..."


def _attributes(notice: Notice) -> Mapping[str, Any]:
    values = {"key": notice.key, "kind": notice.kind, "severity": notice.severity, "at": notice.at}
    values |= {"path": notice.path} if notice.path else {}
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _misconfigured(sentence: str) -> Invalid:
    return Invalid(f"{sentence}. Mend MLOPS_TOPIC_ARN, or the function's permission to publish there.")
