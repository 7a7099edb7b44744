"""The quick pass over a text table: structure, types, typed Parquet and counts, block by block on every CPU.

Each column is read under a guess (guess.py). One whose cells do not prove it is given up: the plan reads it afterwards
from staged text, as it reads tables that this pass is not for (blank lines between, quotes in odd places, ragged rows).
So a verdict never depends on the guess, nor on which of the two read a column.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from training.preprocess.block_cells import Typed, Unlike, parsed_type, typed
from training.preprocess.blocks import Block, Unclear, blocks, parsed
from training.preprocess.evidence import Evidence
from training.preprocess.guess import Guess, guessed
from training.preprocess.limits import MEBIBYTE, Limits
from training.preprocess.plan import Cells
from training.preprocess.row_groups import RowGroupWriter
from training.preprocess.staging import ARROW_TYPES, TextShape
from training.preprocess.text_scan import TextBody, check_rows
from training.preprocess.types import NOTABLE, ColumnPlan, Tally

_T = TypeVar("_T")
_R = TypeVar("_R")
_COUNTED = 200_000
_COUNTED_CHARACTERS = 16 * MEBIBYTE


@dataclass
class QuickScan:
    """What the pass found; `columns`: by place, without those in `given_up`, whose cells in the file are all NULL."""

    path: Path
    rows: int = 0
    columns: dict[int, ColumnPlan] = field(default_factory=dict)
    evidence: dict[int, Evidence] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)

    @property
    def counted(self) -> dict[str, dict[str, int]]:
        """By column name: its texts with their counts, where they are known."""
        known = ((self.columns[place].name, each.values) for place, each in self.evidence.items())
        return {name: values for name, values in known if values is not None}


def quick_scan(text: TextBody, path: Path, limits: Limits) -> QuickScan | None:
    """Write the typed table to `path`; None when the text is not for this pass.

    Raises:
        Refused: too_many_rows.
    """
    if not text.simple:
        return None
    try:
        return _Scan(text, path, limits).run()
    except (Unclear, pa.ArrowInvalid):
        path.unlink(missing_ok=True)
        return None


class _Scan:
    def __init__(self, text: TextBody, path: Path, limits: Limits) -> None:
        self._text, self._path, self._limits = text, path, limits
        self._guesses = guessed(text.path, text.start, text.delimiter, len(text.names))
        self._types = {place: parsed_type(guess) for place, guess in enumerate(self._guesses)}
        self._evidence = [Evidence() for _ in self._guesses]
        self._lost: set[int] = set()
        self._rows = 0

    def run(self) -> QuickScan:
        fields = [(name, _arrow_type(guess)) for name, guess in zip(self._text.names, self._guesses, strict=True)]
        schema = pa.schema(fields)
        cut = blocks(self._text.path, self._text.start, self._text.line, self._text.delimiter, self._limits)
        with RowGroupWriter(self._path, schema) as writer:
            for columns in in_order(self._read, cut, self._limits.threads):
                writer.append(self._taken(columns, schema))
                check_rows(self._rows, self._limits)
        return self._found()

    def _read(self, block: Block) -> list[Typed | int]:
        """Typed columns; of a column that is unlike its guess only the number of its cells."""
        columns = parsed(block, self._text.delimiter, len(self._guesses), self._types, nulls=True)
        return [_typed_or_count(*each) for each in zip(columns, self._guesses, strict=True)]

    def _taken(self, columns: Sequence[Typed | int], schema: pa.Schema) -> pa.RecordBatch:
        most = max(100, _COUNTED // len(columns))
        largest = _COUNTED_CHARACTERS // len(columns)
        cells = []
        for place, (column, each) in enumerate(zip(columns, schema, strict=True)):
            if isinstance(column, Typed) and place not in self._lost:
                self._evidence[place].add(column.evidence, most=most, largest=largest)
                cells.append(column.cells)
            else:
                self._lost.add(place)
                count = column if isinstance(column, int) else len(column.cells)
                cells.append(pa.nulls(count, each.type))
        self._rows += len(cells[0])
        return pa.record_batch(cells, schema=schema)

    def _found(self) -> QuickScan:
        found = QuickScan(self._path, self._rows)
        for place, evidence in enumerate(self._evidence):
            plan = None if place in self._lost else self._plan(place, evidence)
            if plan is None:
                found.given_up.append(place)
            else:
                found.columns[place], found.evidence[place] = plan, evidence
        self._give_up_points(found)
        return found

    def _plan(self, place: int, evidence: Evidence) -> ColumnPlan | None:
        """None when the evidence does not prove the guess."""
        guess, present = self._guesses[place], self._rows - evidence.missing
        if evidence.longest > self._limits.max_cell or (present == 0 and guess.kind != "text"):
            return None
        if guess.kind == "text" and not _surely_text(evidence, present):
            return None
        shape = TextShape(evidence.empty, evidence.padded, evidence.points, longest=evidence.longest)
        cells = Cells(place, "untyped", evidence.padded > 0, guess.decimal)
        tally = Tally(evidence.missing, 0, 0)
        return ColumnPlan(self._text.names[place], cells, shape, tally, present, kind=guess.kind)

    def _give_up_points(self, found: QuickScan) -> None:
        """Where columns may have decimal commas, those with points are for the plan, which sees all of them."""
        commas = any(each.kind == "number" and each.cells.decimal == "," for each in found.columns.values())
        if self._text.delimiter == "," or not (commas or found.given_up):
            return
        for place, each in list(found.columns.items()):
            if each.kind == "number":
                del found.columns[place], found.evidence[place]
                found.given_up.append(place)
        found.given_up.sort()


def _typed_or_count(column: pa.Array, guess: Guess) -> Typed | int:
    try:
        return typed(column, guess)
    except Unlike:
        return len(column)


def _arrow_type(guess: Guess) -> pa.DataType:
    return pa.dictionary(pa.int32(), pa.string()) if guess.kind == "text" else ARROW_TYPES[guess.kind]


def _surely_text(evidence: Evidence, present: int) -> bool:
    """Whether the plan would read the column as text, and have nothing to say but of missing texts and spaces."""
    like = evidence.like
    few = max(like.number, like.time, like.boolean) < NOTABLE * present or not present
    countable = evidence.values is not None or evidence.padded <= 0
    return few and 2 * like.formatted < max(1, present) and countable


def in_order(work: Callable[[_T], _R], items: Iterator[_T], threads: int) -> Iterator[_R]:
    """The results in the items' order; worked on by `threads` threads, a few items ahead."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[_R]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
