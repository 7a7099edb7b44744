"""The pydantic bases of requests and answers."""

from pydantic import BaseModel, ConfigDict


class Request(BaseModel):
    """A body a client sends: unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Answer(BaseModel):
    """A body the platform sends. Clients ignore keys they do not know, so keys may be added.

    Its validator is built when it is first used: a Lambda function that starts for one request needs few of them.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, protected_namespaces=(), defer_build=True)


class Page(Answer):
    """A keyset page: pass `next_token` back to go on; null: that was all."""

    next_token: str | None = None
