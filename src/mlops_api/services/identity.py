"""Who asks, by the token of this server, or by the claims that API Gateway's authorizer has checked."""

import hmac
from collections.abc import Mapping
from typing import Any, Protocol

from mlops_api.services.principal import Principal


class Identity(Protocol):
    """`takes_tokens`: bearer tokens, token links and the cookie they set are looked at. `advice` is for who is
    refused: what to send."""

    takes_tokens: bool
    advice: str

    def identify(self, scope: Mapping[str, Any], token: str | None) -> Principal | None:
        """The principal of a request (an ASGI scope), or None."""


class TokenIdentity:
    """One user, one token."""

    takes_tokens = True
    advice = (
        "Send the token: 'Authorization: Bearer TOKEN'. `mlops up` prints it, and it stands in server.json in the data "
        "folder; in a browser open the link that `mlops up` printed."
    )

    def __init__(self, user: str, token: str) -> None:
        self._principal = Principal(user)
        self._token = token.encode()

    def identify(self, scope: Mapping[str, Any], token: str | None) -> Principal | None:  # noqa: ARG002 - the protocol's
        given = (token or "").encode()
        return self._principal if self._token and hmac.compare_digest(given, self._token) else None


class GatewayIdentity:
    """Claims of the JSON Web Token that API Gateway checked before it called: nothing else in a request counts.

    HTTP APIs give them as requestContext.authorizer.jwt.claims, REST APIs as requestContext.authorizer.claims.
    `claim` has to be one that users cannot change themselves.
    """

    takes_tokens = False
    advice = "Send 'Authorization: Bearer TOKEN' with a token of the identity provider that API Gateway trusts."

    def __init__(self, claim: str) -> None:
        self._claim = claim

    def identify(self, scope: Mapping[str, Any], token: str | None) -> Principal | None:  # noqa: ARG002 - the protocol's
        name = _claims(scope.get("aws.event")).get(self._claim)
        return Principal(name) if isinstance(name, str) and name else None


def _claims(event: Any) -> Mapping[str, Any]:
    authorizer = _part(_part(event, "requestContext"), "authorizer")
    return _part(authorizer.get("jwt"), "claims") if "jwt" in authorizer else _part(authorizer, "claims")


def _part(whole: Any, key: str) -> Mapping[str, Any]:
    """The object below `key`; an empty one where there is none (no authorizer: null or absent)."""
    part = whole.get(key) if isinstance(whole, Mapping) else None
    return part if isinstance(part, Mapping) else {}
