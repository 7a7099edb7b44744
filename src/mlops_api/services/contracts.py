"""Data contracts: set, read, taken out of force; each edit has the next number, and all are kept.

The record of a dataset's contract says what is in force and keeps the last number for ever. Every numbered contract
has a record of its own beside it, written in the same write.
"""

from collections.abc import Mapping

from pydantic import BaseModel

from mlops_api.domain.contracts import ContractPage, ContractVersion, DatasetContract
from mlops_api.domain.errors import NotFound, PreconditionFailed
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Index, Place, RecordStore, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.principal import Principal
from mlops_contracts.data_contract import DataContract, NumberedContract

_CURRENT = "data-contract"
_NUMBERED = "data-contract-version"


class CurrentContract(BaseModel):
    """`contract` None: none is in force; the next one is `number` + 1."""

    dataset: str
    number: int
    contract: DataContract | None
    created_at: str
    created_by: str


class StoredVersion(BaseModel):
    dataset: str
    number: int
    contract: DataContract
    created_at: str
    created_by: str


class ContractService:
    def __init__(self, *, records: RecordStore, activity: ActivityLog, clock: Clock) -> None:
        self._records = records
        self._activity = activity
        self._clock = clock
        self._current = Collection(
            records, _CURRENT, CurrentContract, what="data contract of", key=lambda one: one.dataset, places=_nowhere
        )
        self._numbered = Collection(
            records, _NUMBERED, StoredVersion, what="data contract", key=_key_of, places=_among_the_datasets
        )

    # ---- reading

    def in_force(self, dataset: str) -> NumberedContract | None:
        """What a version whose validation starts now is held to."""
        found = self._current.find(dataset)
        if found is None or found.value.contract is None:
            return None
        return NumberedContract(number=found.value.number, contract=found.value.contract)

    def get(self, dataset: str, number: int | None = None) -> DatasetContract:
        """The one in force, or that of a number. Raises NotFound saying how to set one."""
        current = self._current.find(dataset)
        if current is None:
            raise _none(dataset)
        if number is not None and (number != current.value.number or current.value.contract is None):
            return self._earlier(current, number)
        if current.value.contract is None:
            raise _none(dataset)
        return _answer(current, current.value.contract)

    def _earlier(self, current: Stored[CurrentContract], number: int) -> DatasetContract:
        dataset = current.value.dataset
        found = self._numbered.find(_key(dataset, number))
        if found is None:
            raise NotFound(f"{dataset} has no contract {number}; its last one is {current.value.number}.")
        return DatasetContract(**found.value.model_dump(), in_force=False, revision=current.revision)

    def versions(self, dataset: str, *, limit: int, token: str | None) -> ContractPage:
        """All it ever had, newest first."""
        page = self._numbered.page("group", f"{_NUMBERED}/{dataset}", limit=limit, token=token)
        contracts = [ContractVersion.model_validate(value.model_dump()) for value in page.values]
        return ContractPage(contracts=contracts, next_token=page.next_token)

    # ---- changing

    def put(self, by: Principal, dataset: str, contract: DataContract, revision: int | None = None) -> DatasetContract:
        """Put a contract in force under the next number; the one in force already stays as it is.

        With `revision` only if that is what stands there (0: nothing). Raises PreconditionFailed.
        """
        return until_unbeaten(
            lambda: self._put_once(by, dataset, contract, revision), what=f"the contract of {dataset}"
        )

    def _put_once(self, by: Principal, dataset: str, contract: DataContract, revision: int | None) -> DatasetContract:
        found = self._current.find(dataset)
        if found is not None and found.value.contract == contract:
            return _answer(found, contract)
        before = found.revision if found else 0
        _check_revision(dataset, before, revision)
        new = CurrentContract(
            dataset=dataset,
            number=found.value.number + 1 if found else 1,
            contract=contract,
            created_at=rfc3339(self._clock()),
            created_by=by.name,
        )
        kept = StoredVersion.model_validate(new.model_dump())
        self._write(by, "contract.set", Stored(new, before), self._numbered.to_put(Stored(kept, 0)))
        return _answer(Stored(new, before + 1), contract)

    def delete(self, by: Principal, dataset: str, revision: int | None = None) -> None:
        """Later versions are held to none. Raises NotFound when none is in force, PreconditionFailed."""
        until_unbeaten(lambda: self._delete_once(by, dataset, revision), what=f"the contract of {dataset}")

    def _delete_once(self, by: Principal, dataset: str, revision: int | None) -> None:
        found = self._current.find(dataset)
        if found is None or found.value.contract is None:
            raise _none(dataset)
        _check_revision(dataset, found.revision, revision)
        self._write(by, "contract.delete", found.with_value(found.value.model_copy(update={"contract": None})))

    def _write(self, by: Principal, action: str, changed: Stored[CurrentContract], *others: Write) -> None:
        dataset = changed.value.dataset
        detail = f"number {changed.value.number}"
        entry = self._activity.entry(by, action, dataset, detail=detail, path=f"/datasets/{dataset}/contract")
        self._records.write([self._current.to_put(changed), entry, *others])


def _key(dataset: str, number: int) -> str:
    return f"{dataset}:{number}"


def _key_of(version: StoredVersion) -> str:
    return _key(version.dataset, version.number)


def _nowhere(_: CurrentContract) -> Mapping[Index, Place]:
    return {}


def _among_the_datasets(version: StoredVersion) -> Mapping[Index, Place]:
    return {"group": Place(f"{_NUMBERED}/{version.dataset}", f"{version.number:09d}")}


def _check_revision(dataset: str, stands: int, asked: int | None) -> None:
    if asked is not None and asked != stands:
        raise PreconditionFailed(
            f"The contract of {dataset} is at revision {stands}, not {asked}. Read it again and repeat the change.",
            revision=stands,
        )


def _none(dataset: str) -> NotFound:
    return NotFound(
        f"{dataset} has no data contract in force. See what one would be: mlops data contract suggest {dataset}:latest"
    )


def _answer(stored: Stored[CurrentContract], contract: DataContract) -> DatasetContract:
    return DatasetContract(
        **stored.value.model_dump(exclude={"contract"}), contract=contract, in_force=True, revision=stored.revision
    )
