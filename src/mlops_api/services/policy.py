"""What the operator may set, as services see it; bootstrap fills it from the settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """Times in seconds. `second_approver`: who started the training job may not approve its version."""

    max_upload_bytes: int
    upload_seconds: int
    download_seconds: int
    processing_seconds: int
    second_approver: bool
