"""The Python client. Light: it imports httpx and pydantic, never the server, boto3 or an ML library.

from mlops_api.client import MLOps

with MLOps() as c:
    for job in c.training.jobs(status="Completed"):
        print(job.job, job.metrics)
"""

from mlops_api.client.client import AsyncMLOps, MLOps
from mlops_api.client.errors import (
    AuthError,
    Conflict,
    JobFailed,
    MLOpsError,
    NotFound,
    ServerError,
    Timeout,
    TooLarge,
    Unreachable,
    Validation,
)
from mlops_api.client.retry import RetryPolicy

__all__ = [
    "AsyncMLOps",
    "AuthError",
    "Conflict",
    "JobFailed",
    "MLOps",
    "MLOpsError",
    "NotFound",
    "RetryPolicy",
    "ServerError",
    "Timeout",
    "TooLarge",
    "Unreachable",
    "Validation",
]
