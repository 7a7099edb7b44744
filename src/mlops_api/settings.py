"""Every setting, from the environment with prefix MLOPS_ or from arguments. Read when built, never at import."""

import getpass
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from mlops_api.domain.defaults import DEFAULT_DATA_DIR

MEGABYTE = 1 << 20


class Settings(BaseSettings):
    """docs/settings.md lists every field; a test fails when one is missing there."""

    model_config = SettingsConfigDict(env_prefix="MLOPS_", extra="ignore", frozen=True)

    mode: Literal["local"] = Field("local", description="Which adapters bootstrap builds.")
    data_dir: Path = Field(Path(DEFAULT_DATA_DIR), description="local: the folder that holds everything.")
    user: str = Field(default_factory=getpass.getuser, description="local: name written as created_by.")
    adopt_jobs: bool = Field(
        True, description="local: at start, take over the jobs and model servers of a server that was killed."
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
    second_approver: bool = Field(False, description="Refuse approval by the one who started the training job.")
