"""Finished chunks of batch scoring, kept until the results are complete, so that a killed job goes on.

    checkpoints/transform-<digest>/part-<chunk>-<failed rows>.<format>

The digest is of the model, the table and the settings: parts of other work are never taken for this one's.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mlops_contracts.transform import ResultFormat
from training.csv_out import write_csv
from training.durable import replacing

_PART = re.compile(r"part-(\d{8})-(\d+)\.\w+")


class Part(NamedTuple):
    chunk: int
    failed_rows: int
    path: Path


class Parts:
    """The parts of one job, in a folder of their own."""

    def __init__(self, folder: Path, digest: str, kind: ResultFormat) -> None:
        self._folder = folder / f"transform-{digest}"
        self._kind: ResultFormat = kind
        self._drop_others(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def _drop_others(self, folder: Path) -> None:
        for other in folder.glob("transform-*"):
            if other != self._folder:
                shutil.rmtree(other)

    def done(self) -> list[Part]:
        """Parts that are complete, without a gap from the first chunk on."""
        found = {part.chunk: part for part in self._found()}
        return [found[chunk] for chunk in takewhile(found.__contains__, count())]

    def _found(self) -> Iterator[Part]:
        for path in self._folder.iterdir():
            if match := _PART.fullmatch(path.name):
                yield Part(int(match[1]), int(match[2]), path)

    def add(self, chunk: int, table: pa.Table, failed_rows: int) -> Part:
        """Store the results of a chunk durably."""
        path = self._folder / f"part-{chunk:08d}-{failed_rows}.{self._kind}"
        with replacing(path) as partial:
            if self._kind == "csv":
                write_csv(table, partial, header=False)
            else:
                pq.write_table(table, partial)
        return Part(chunk, failed_rows, path)

    def assemble(self, results: Path, schema: pa.Schema, check: Callable[[], None]) -> None:
        """Write all parts, in order, to one file that appears whole; `check` is called before each of them."""
        with replacing(results) as partial:
            if self._kind == "csv":
                self._join_csv(partial, schema, check)
            else:
                self._join_parquet(partial, schema, check)

    def _join_csv(self, target: Path, schema: pa.Schema, check: Callable[[], None]) -> None:
        write_csv(schema.empty_table(), target, header=True)
        with target.open("ab") as out:
            for part in self.done():
                check()
                with part.path.open("rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)

    def _join_parquet(self, target: Path, schema: pa.Schema, check: Callable[[], None]) -> None:
        with pq.ParquetWriter(target, schema) as writer:
            for part in self.done():
                check()
                writer.write_table(pq.read_table(part.path))

    def remove(self) -> None:
        """Drop the parts, when the results are complete."""
        shutil.rmtree(self._folder)
