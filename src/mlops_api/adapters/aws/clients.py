"""Every boto3 client, with its limits: whatever a service does, a call ends before API Gateway gives up at 30 s.

    limits        connect  read  attempts  pauses between  longest call
    most calls        2 s   5 s         3      up to 3 s           24 s
    invocations       2 s  25 s         1            none          27 s

Addresses, credentials and the region are botocore's own business: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and the like.
"""

import threading
from functools import partial
from typing import Any

from botocore.config import Config
from botocore.session import Session

from mlops_api.adapters.aws.service_data import ServiceData

Client = Any
"""Its methods are made from AWS's service description when it is built."""

ATTEMPTS = 3
_CONNECTIONS = 50
"""More than the threads that serve requests, so that none waits for another's connection."""

_config = partial(Config, connect_timeout=2, max_pool_connections=_CONNECTIONS)
CONFIG = _config(read_timeout=5, retries={"mode": "standard", "total_max_attempts": ATTEMPTS})
S3_CONFIG = CONFIG.merge(Config(signature_version="s3v4"))
"""Presigned URLs of some regions would be signed the old way, which does not sign headers."""

INVOKE_CONFIG = _config(read_timeout=25, retries={"mode": "standard", "total_max_attempts": 1})
"""A model may take its time, and then there is none left to ask again."""

_CONFIGS = {"s3": S3_CONFIG, "sagemaker-runtime": INVOKE_CONFIG}


class AwsClients:
    """Clients of one region, each made when it is first used; safe to use from many threads.

    `region` None: the one that botocore finds in its environment.
    """

    def __init__(self, region: str | None = None) -> None:
        self._session = Session()
        self._session.register_component("data_loader", ServiceData())
        if region is not None:
            self._session.set_config_variable("region", region)
        self._clients: dict[str, Client] = {}
        self._lock = threading.Lock()

    @property
    def region(self) -> str | None:
        name: str | None = self._session.get_config_variable("region")
        return name

    def client(self, service: str) -> Client:
        """By boto3's name of the service, such as `logs` or `cloudwatch`."""
        with self._lock:  # making a client is not thread-safe
            if service not in self._clients:
                make = self._boto3 if service == "s3" else self._session.create_client
                self._clients[service] = make(service, config=_CONFIGS.get(service, CONFIG))
            return self._clients[service]

    def _boto3(self, service: str, **options: Any) -> Client:
        """A client with boto3's own methods, such as upload_fileobj. Imported here: it takes as long as botocore."""
        import boto3

        return boto3.Session(botocore_session=self._session).client(service, **options)

    @property
    def dynamodb(self) -> Client:
        return self.client("dynamodb")

    @property
    def s3(self) -> Client:
        return self.client("s3")

    @property
    def sagemaker(self) -> Client:
        return self.client("sagemaker")

    @property
    def sagemaker_runtime(self) -> Client:
        return self.client("sagemaker-runtime")

    @property
    def stepfunctions(self) -> Client:
        return self.client("stepfunctions")

    @property
    def logs(self) -> Client:
        return self.client("logs")

    @property
    def sns(self) -> Client:
        return self.client("sns")
