"""What the operator may set, as services see it; bootstrap fills it from the settings."""

from dataclasses import dataclass

from mlops_api.domain.errors import TooLarge


@dataclass(frozen=True)
class Policy:
    """Times in seconds. `second_approver`: who started the training job may not approve its version.

    `dataset_alarms`: every dataset has the default ones; `fresh_days`: after so many without a version one goes off, 0
    for never."""

    max_upload_bytes: int
    upload_seconds: int
    download_seconds: int
    processing_seconds: int
    second_approver: bool
    dataset_alarms: bool
    fresh_days: int

    def check_upload(self, filename: str, size_bytes: int) -> None:
        """Raises TooLarge over max_upload_bytes."""
        if size_bytes > self.max_upload_bytes:
            raise TooLarge(
                f"{filename} has {size_bytes} bytes; at most {self.max_upload_bytes} "
                "are taken (setting MLOPS_MAX_UPLOAD_BYTES)."
            )
