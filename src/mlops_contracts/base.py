"""The one pydantic base that every shared format uses."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Unknown keys are refused, NaN and infinity are refused, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
