"""The /opt/ml tree that SageMaker gives a container, at a root that one setting relocates."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = "/opt/ml"


@dataclass(frozen=True)
class MlPaths:
    """Where things lie below `root`. Makes no folder.

    input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
    input/data/<channel>/    model/    checkpoints/    output/{failure,data/}

    A SageMaker processing job has the same tree below `processing/`; what it has to say when it fails goes to
    `output/message` beside that, and files that others read meanwhile to `processing/progress/`.
    """

    root: Path
    message: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "MlPaths":
        """Root from MLOPS_ML_ROOT, else /opt/ml."""
        return cls(Path((os.environ if environ is None else environ).get("MLOPS_ML_ROOT") or DEFAULT_ROOT))

    @classmethod
    def of_job(cls, environ: Mapping[str, str] | None = None) -> "MlPaths":
        """As from_env; but inside a processing job, whose inputs SageMaker mounts, the tree is that of the job."""
        own = cls.from_env(environ)
        inside = own.root / "processing"
        return cls(inside, own.output / "message") if inside.is_dir() else own

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def hyperparameters(self) -> Path:
        return self.config / "hyperparameters.json"

    @property
    def resource_config(self) -> Path:
        return self.config / "resourceconfig.json"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def progress(self) -> Path:
        return self.output if self.message is None else self.root / "progress"

    @property
    def failure(self) -> Path:
        return self.message or self.output / "failure"

    def channel(self, name: str) -> Path:
        """Folder of an input channel, such as `training`."""
        return self.root / "input" / "data" / name
