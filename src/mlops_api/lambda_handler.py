"""Lambda's handler: one LambdaEntry for the life of the process.

Until the first answer Python's garbage collector rests. Almost all that is made until then stays, so its looking
through everything again and again finds nothing, and takes a tenth of the start.
"""

import gc
import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_api.lambda_entry import LambdaEntry


@cache
def entry() -> "LambdaEntry":
    """Of this process; from its environment."""
    gc.disable()
    _import_fastapi()
    from mlops_api.lambda_entry import from_environment

    return from_environment()


def _import_fastapi() -> None:
    """With its models of OpenAPI built when they are used, which is for the schema's page: a tenth of the start."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        import fastapi  # noqa: F401 - for its models
    finally:
        del BaseModel.model_config["defer_build"]


def handler(event: Mapping[str, Any], context: Any) -> Any:
    try:
        return entry()(event, context)
    finally:
        if not gc.isenabled():
            gc.freeze()  # what is there now stays: it need not be looked through later either
            gc.enable()


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # inside Lambda: now, where starting is given a whole processor
    entry()
