"""A SageMaker-compatible server for tests: the wire API for what the adapters use, over the real container code.

server.py        HTTP, life                      wire.py, shapes.py   protocols, botocore's service models
training.py, processing.py, transforms.py        jobs (jobs.py); containers.py, guardian.py run them, s3.py feeds them
models.py, endpoints.py, invocations.py          hosting; model_servers.py runs the containers
packages.py, tags.py, log_groups.py              registry, tags, CloudWatch Logs
faults.py, events.py                             what goes wrong on request; EventBridge's events
"""

from tests.sagemaker_server.events import event_bus, posted
from tests.sagemaker_server.options import Options
from tests.sagemaker_server.refusals import Refusal
from tests.sagemaker_server.server import SageMakerServer

__all__ = ["Options", "Refusal", "SageMakerServer", "event_bus", "posted"]
