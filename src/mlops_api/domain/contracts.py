"""A dataset's contract as the platform keeps it: numbered, one in force at a time, every earlier one kept.

none --set--> 1 --set--> 2 --delete--> none --set--> 3
"""

from pydantic import Field

from mlops_api.domain.base import Answer, Page
from mlops_contracts.data_contract import DataContract


class DatasetContract(Answer):
    """`revision`: send it as If-Match to change only what was read."""

    dataset: str
    number: int
    contract: DataContract
    in_force: bool = Field(description="Whether later versions are held to it.")
    revision: int
    created_at: str
    created_by: str


class ContractVersion(Answer):
    number: int
    contract: DataContract
    created_at: str
    created_by: str


class ContractPage(Page):
    contracts: list[ContractVersion]
