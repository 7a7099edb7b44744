"""Every setting, from the environment with prefix MLOPS_ or from arguments. Read when built, never at import."""

import getpass
import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from mlops_api.domain.defaults import DEFAULT_DATA_DIR
from mlops_api.domain.webhooks import parse_webhook_secret, parse_webhook_url

MEGABYTE = 1 << 20
PREFIX = "MLOPS_"

Names = frozenset[str]
"""In the environment separated by commas."""

_NEEDED_ON_AWS = ("table", "bucket", "role_arn", "image_uri", "allowed_hosts", "state_machine_arn")


class Settings(BaseModel):
    """docs/settings.md lists every field; a test fails when one is missing there. Arguments win over the environment.

    pydantic-settings would do what __init__ does, and take longer than everything else in the building of a platform.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    def __init__(self, **given: Any) -> None:
        """Raises pydantic.ValidationError."""
        names = {name: PREFIX + name.upper() for name in type(self).model_fields}
        set_there = {name: os.environ[variable] for name, variable in names.items() if variable in os.environ}
        super().__init__(**(set_there | given))

    mode: Literal["local", "aws"] = Field("local", description="Which adapters bootstrap builds.")
    data_dir: Path = Field(Path(DEFAULT_DATA_DIR), description="local: the folder that holds everything.")
    user: str = Field(default_factory=getpass.getuser, description="local: name written as created_by.")
    adopt_jobs: bool = Field(
        True, description="local: at start, take over the jobs and model servers of a server that was killed."
    )
    watch_dir: Path | None = Field(
        None, description="local: a folder to watch; a table dropped into it becomes a version of a dataset."
    )
    training_slots: int | None = Field(
        None, ge=1, le=64, description="local: training jobs that run at once; empty: half the processor cores."
    )
    stop_grace_seconds: float = Field(
        120, gt=0, le=120, description="local: time between SIGTERM and SIGKILL when a job is stopped."
    )
    max_body_bytes: int = Field(
        6 * MEGABYTE, ge=1024, description="Largest request body, files excepted: they go by signed URL."
    )
    max_upload_bytes: int = Field(50 * 1024 * MEGABYTE, ge=1, description="Largest file that may be uploaded.")
    upload_seconds: int = Field(24 * 3600, ge=60, description="How long upload URLs, and unfinished uploads, live.")
    download_seconds: int = Field(3600, ge=60, description="How long download URLs live.")
    processing_seconds: int = Field(3600, ge=10, description="Longest validation of one dataset version.")
    pipeline_seconds: int = Field(
        5 * 24 * 3600, ge=60, description="Longest pipeline execution; then it is TIMED_OUT, and its jobs are stopped."
    )
    second_approver: bool = Field(False, description="Refuse approval by the one who started the training job.")
    dataset_alarms: bool = Field(True, description="Make alarms on the quality of every dataset.")
    fresh_days: int = Field(
        0, ge=0, le=7, description="Days without a new version after which a dataset's alarm goes off; 0: never."
    )
    metric_days: int = Field(90, ge=1, le=3650, description="local: how long points of metrics are kept.")
    webhook_url: str = Field("", description="local: where alerts are posted; empty: they go to the log.")
    webhook_secret: SecretStr = Field(SecretStr(""), description="local: signs what is posted there.")
    webhook_loopback: bool = Field(False, description="local: the webhook may be on this machine, and plain http then.")

    region: str | None = Field(None, description="aws: empty: AWS_DEFAULT_REGION, which Lambda sets.")
    table: str = Field("", description="aws: the DynamoDB table.")
    bucket: str = Field("", description="aws: the S3 bucket of all files.")
    role_arn: str = Field("", description="aws: the role of SageMaker's jobs and models.")
    image_uri: str = Field("", description="aws: the `ml` image in ECR.")
    state_machine_arn: str = Field("", description="aws: the state machine of infra/pipeline.asl.json.")
    glue_job: str = Field("", description="aws: the Glue job that validates large files; empty: none is too large.")
    glue_from_bytes: int = Field(10 * 1024 * MEGABYTE, ge=0, description="aws: files of that size on go to Glue.")
    allowed_hosts: Names = Field(frozenset(), description="aws: names the API answers to; * for any.")
    allowed_origins: Names = Field(frozenset(), description="aws: origins of pages that may change things.")
    identity_claim: str = Field("sub", min_length=1, description="aws: the token's claim that names the caller.")
    training_instance_type: str = Field("ml.m5.xlarge", description="aws: where a request names none.")
    max_instances: int = Field(1, ge=1, le=20, description="aws: most instances of one training job.")
    processing_instance_type: str = Field("ml.m5.xlarge", description="aws: for validation.")
    transform_instance_type: str = Field("ml.m5.xlarge", description="aws: for batch scoring.")
    endpoint_instance_type: str = Field("ml.m5.large", description="aws: for endpoints; empty: serverless.")
    endpoint_instance_count: int = Field(1, ge=1, le=20, description="aws: instances behind each variant.")
    volume_gb: int = Field(30, ge=1, le=16384, description="aws: disk of each instance of a job.")
    kms_key_id: str | None = Field(None, description="aws: encrypts outputs and volumes; empty: AWS's own keys.")
    network_isolation: bool = Field(True, description="aws: containers reach no network, where SageMaker allows it.")

    metric_namespace: str = Field(
        "MLOps", pattern=r"^[0-9A-Za-z._/#-]{1,100}$", description="aws: CloudWatch's namespace of all metrics."
    )
    topic_arn: str = Field("", description="aws: the SNS topic that takes alerts; empty: they go to the log.")

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip().lower() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _sound_webhook(self) -> Self:
        if self.webhook_url:
            parse_webhook_url(self.webhook_url, loopback=self.webhook_loopback)
            parse_webhook_secret(self.webhook_secret.get_secret_value())
        return self

    @model_validator(mode="after")
    def _complete_on_aws(self) -> Self:
        missing = [PREFIX + name.upper() for name in _NEEDED_ON_AWS if not getattr(self, name)]
        if self.mode == "aws" and missing:
            raise ValueError(f"With MLOPS_MODE=aws set also {', '.join(missing)}. docs/settings.md says what they are.")
        return self
