"""Alerts: what people are told outside the platform, and what became of the telling.

Pending --> Delivered
   |  ^
   |  +-- an attempt failed: the next one is due at `next_attempt_at`
   +----> Failed: the last attempt failed
"""

from typing import Literal

from pydantic import Field

from mlops_api.domain.base import Answer, Page

Severity = Literal["info", "warning", "error"]
DeliveryStatus = Literal["Pending", "Delivered", "Failed"]


class DeliveryAttempt(Answer):
    """`error` empty: it arrived; `reference` is then the receiver's own name for it, where it gives one."""

    at: str
    channel: str = ""
    reference: str = ""
    error: str | None = None


class Alert(Answer):
    """`alert` is its key: whoever tells of the same thing again uses the same one. `path`: where to look at it."""

    alert: str
    kind: str = Field(description="What happened, such as training.failed.")
    severity: Severity
    subject: str
    body: str
    path: str | None = None
    at: str
    delivery: DeliveryStatus = "Pending"
    attempts: list[DeliveryAttempt] = Field(default_factory=list)
    next_attempt_at: str | None = None


class AlertPage(Page):
    alerts: list[Alert]
