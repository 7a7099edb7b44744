"""Input data: what SageMaker checks of a request, and how it fills /opt/ml/input/data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.sagemaker_server.refusals import NotServed, ValidationException
from tests.sagemaker_server.s3 import S3Uri, Storage, TransferFailed

IMAGE = (
    r"(\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?|public\.ecr\.aws)/[\w./-]+(:[\w.-]+|@sha256:[0-9a-f]{64})?"
)
"""Training and inference images come from ECR."""


def check_s3_prefix(storage: Storage, uri: str, role: str, region: str) -> None:
    """Raises ValidationException when nothing lies below the prefix: SageMaker looks before it creates the job."""
    try:
        found = storage.keys(S3Uri.parse(uri))
    except TransferFailed as error:
        raise ValidationException(str(error)) from error
    if not found:
        bucket = S3Uri.parse(uri).bucket
        raise ValidationException(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )


def s3_source(channel: Mapping[str, Any], input_mode: str = "File") -> Mapping[str, Any]:
    """The S3 data source of a training channel. Raises NotServed for the kinds this server does not fill."""
    source = channel["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] != "S3Prefix":
        raise NotServed("data sources other than S3Prefix")
    if channel.get("InputMode", input_mode) == "Pipe":
        raise NotServed("the input mode Pipe")
    for member in ("RecordWrapperType", "CompressionType"):
        if channel.get(member, "None") != "None":
            raise NotServed(f"channels with {member}")
    return dict(source)


def fill(storage: Storage, source: Mapping[str, Any], folder: Path, host: int, hosts: int) -> None:
    """Download a channel for host number `host` (from 0). Raises TransferFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    sharded = source.get("S3DataDistributionType", "FullyReplicated") == "ShardedByS3Key"
    shard = (host, hosts) if sharded else (0, 1)
    storage.download_prefix(S3Uri.parse(source["S3Uri"]), folder, shard=shard)


def input_data_config(channels: list[Mapping[str, Any]], input_mode: str) -> dict[str, dict[str, str]]:
    """inputdataconfig.json."""
    return {each["ChannelName"]: _channel_config(each, input_mode) for each in channels}


def _channel_config(channel: Mapping[str, Any], input_mode: str) -> dict[str, str]:
    distribution = channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated")
    config = {
        "TrainingInputMode": channel.get("InputMode", input_mode),
        "S3DistributionType": distribution,
        "RecordWrapperType": "None",
    }
    return config | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})
