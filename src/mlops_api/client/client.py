"""`MLOps` and `AsyncMLOps`: the same resources over blocking and over awaiting I/O."""

import ipaddress
import os
import ssl
from types import TracebackType
from typing import Any, Generic, Self

import httpx

from mlops_api.client.batch import Batch
from mlops_api.client.dashboard import Dashboard
from mlops_api.client.datasets import Datasets
from mlops_api.client.drivers import Awaiting, Blocking
from mlops_api.client.effects import Flow
from mlops_api.client.inference import Inference
from mlops_api.client.location import Location, locate
from mlops_api.client.models import Models
from mlops_api.client.monitoring import Monitoring
from mlops_api.client.pipelines import Pipelines
from mlops_api.client.resource import M, Resource, operation
from mlops_api.client.retry import RetryPolicy
from mlops_api.client.system import read_health
from mlops_api.client.training import Training

DEFAULT_TIMEOUT = 60.0
"""Seconds to wait for each read of an answer; connecting may take 10 s at most."""


class _Platform(Resource[M], Generic[M]):
    def __init__(self, driver: M, location: Location) -> None:
        super().__init__(driver)
        self.url = location.url
        self.token = location.token
        self.pid = location.pid
        self.datasets: Datasets[M] = Datasets(driver)
        self.training: Training[M] = Training(driver)
        self.models: Models[M] = Models(driver)
        self.inference: Inference[M] = Inference(driver)
        self.batch: Batch[M] = Batch(driver)
        self.pipelines: Pipelines[M] = Pipelines(driver)
        self.dashboard: Dashboard[M] = Dashboard(driver)
        self.monitoring: Monitoring[M] = Monitoring(driver)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(url={self.url!r})"

    @operation
    def health(self) -> Flow[dict[str, Any]]:
        """What GET /health/ready says; raises ServerError when the server is not ready, Unreachable."""
        return read_health()


class MLOps(_Platform[Blocking]):
    """The blocking client.

        with MLOps() as c:
            dataset = c.datasets.upload("flights.csv.gz", name="flights")
            job = c.training.start(dataset=dataset.version, target="late", algorithm="xgboost")
            version = c.training.wait(job.job).model_version

    `url` and `token` default to MLOPS_URL and MLOPS_TOKEN, then to what `mlops up` wrote in `data_dir` (default
    MLOPS_DATA_DIR, then ./mlops-data). Raises Unreachable when none of them says where the server is.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        location = locate(url, token, data_dir)
        client = httpx.Client(transport=transport, **_options(location, timeout))
        self._http = client
        super().__init__(Blocking(client, location.token, retry or RetryPolicy()), location)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()


class AsyncMLOps(_Platform[Awaiting]):
    """The awaiting client: the same methods, each to be awaited; lists are for `async for`."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        location = locate(url, token, data_dir)
        client = httpx.AsyncClient(transport=transport, **_options(location, timeout))
        self._http = client
        super().__init__(Awaiting(client, location.token, retry or RetryPolicy()), location)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()


def _options(location: Location, timeout: float) -> dict[str, Any]:
    url = httpx.URL(location.url)
    return {
        "base_url": location.url,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, 10)),
        "headers": {"User-Agent": "mlops-client", "Accept": "application/json"},
        # A proxy that the environment names can never reach this machine's own loopback address.
        "trust_env": not _is_loopback(url.host),
        # Loading the certificate authorities takes 40 ms, in vain for a server of this machine, whose signed URLs lead
        # to itself. With none loaded, a URL that led elsewhere by https would be refused, not trusted.
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.scheme == "http" and _is_loopback(url.host) else True,
    }


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
