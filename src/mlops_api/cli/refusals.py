"""A refused token, explained: which one it was, and where the right one is."""

import os
from urllib.parse import urlsplit

from mlops_api.cli.session import Session


def explained(session: Session, error: BaseException) -> BaseException:
    """The error itself, or a clearer one of its kind: the server cannot know where the token came from."""
    from mlops_api.client.errors import AuthError

    if not isinstance(error, AuthError) or error.status != 401:
        return error
    advice = _LOCAL if _is_local(session.client.url) else error.detail
    return AuthError(f"{_blame(session)} {advice}", status=401, request_id=error.request_id)


_LOCAL = (
    "The right one is in server.json in the data folder of that server, and --data-dir FOLDER takes both its address "
    "and its token from there."
)


def _blame(session: Session) -> str:
    if session.client.token is None:
        return "No token was sent: --token and MLOPS_TOKEN are empty."
    return f"Wrong token: the server refused the one from {_source(session)}."


def _source(session: Session) -> str:
    if session.token:
        return "--token"
    return "MLOPS_TOKEN" if os.environ.get("MLOPS_TOKEN") and not session.data_dir else "server.json"


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
