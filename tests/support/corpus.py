"""Awkward tables, each with the verdict it must get. Small ones are written out, big and binary ones are made."""

import gzip
import io
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Place = tuple[str, int | None, str | None]


@dataclass(frozen=True)
class Case:
    """`violations`: (code, row, column) in order, empty for an accepted table.

    types, cells {(row, column): value} and warnings {(code, column)} are those of an accepted table; `warnings`
    must be found, and no other. `lines`: of the violations. `text`: compare every cell with Python's csv over it.
    `limits` that differ from the default ones, and `config`: more of preprocess.json. `says`: is in the first message.
    """

    name: str
    data: bytes | Callable[[], bytes]
    violations: tuple[Place, ...] = ()
    lines: tuple[int | None, ...] | None = None
    count: int | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[tuple[int, str], Any] = field(default_factory=dict)
    warnings: frozenset[tuple[str, str | None]] = frozenset()
    filename: str = "table.csv"
    text: str | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""

    def bytes(self) -> bytes:
        return self.data() if callable(self.data) else self.data


def accepted(name: str, text: str, types: str, *warnings: tuple[str, str | None], **more: Any) -> Case:
    """A text table, UTF-8 unless `data` says otherwise; `types` are one letter a column, in order: n c b d t."""
    words = {"n": "numeric", "c": "categorical", "b": "boolean", "d": "datetime", "t": "text"}
    names = more.pop("names", None) or text.lstrip("\r\n").splitlines()[0].split(more.pop("delimiter", ","))
    found = dict(zip(names, (words[each] for each in types), strict=True))
    data = more.pop("data", text.encode())
    return Case(name, data, types=found, warnings=frozenset(warnings), text=text, **more)


def refused(name: str, data: bytes | Callable[[], bytes], *violations: Place, **more: Any) -> Case:
    return Case(name, data, violations, **more)


def rows(header: str, *lines: str, end: str = "\n") -> str:
    return "".join(line + end for line in (header, *lines))


def _numbers_but(bad: Mapping[int, str], count: int = 40) -> str:
    return rows("id,x", *(f"r{row},{bad.get(row, f'{row}.5')}" for row in range(1, count + 1)))


def _many(count: int, line: str) -> bytes:
    return (line * count).encode()


def parquet(columns: Mapping[str, Any], **options: Any) -> Callable[[], bytes]:
    """A Parquet file of Arrow arrays or Python lists."""

    def made() -> bytes:
        sink = io.BytesIO()
        pq.write_table(pa.table(dict(columns)), sink, **options)
        return sink.getvalue()

    return made


def _duplicate_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), sink)
    return sink.getvalue()


def gzipped(data: bytes) -> bytes:
    """Gzip without the time in it: the same bytes whenever a test is collected, so that ids stay the same."""
    return gzip.compress(data, mtime=0)


def _gzip_with_tail(tail: bytes) -> Callable[[], bytes]:
    return lambda: gzipped(b"a,b\n1,2\n") + tail


LATIN = "stadt,höhe\nKöln,37\nZürich,408\n"
GERMAN = "preis;menge\n1,5;3\n2,25;4\n"

STRUCTURE = (
    accepted("plain", "a,b\n1,x\n2,y\n", "nc", cells={(1, "a"): 1, (2, "b"): "y"}),
    accepted("no newline at the end", "a,b\n1,x\n2,y", "nc"),
    accepted("crlf", "a,b\r\n1,x\r\n2,y\r\n", "nc", cells={(1, "b"): "x"}),
    accepted("old mac line ends", "a,b\r1,x\r2,y\r", "nc", cells={(2, "b"): "y"}),
    accepted("utf-8 bom", "a,b\n1,x\n2,y\n", "nc", data=b"\xef\xbb\xbfa,b\n1,x\n2,y\n"),
    accepted("utf-8 bom and quotes", '"a",b\n1,x\n2,y\n', "nc",
             names=["a", "b"], data=b'\xef\xbb\xbf"a",b\n1,x\n2,y\n'),
    accepted("utf-16 bom", "a,b\n1,é\n2,y\n", "nc", ("encoding", None), cells={(1, "b"): "é"},
             data="a,b\n1,é\n2,y\n".encode("utf-16")),
    accepted("latin-1", LATIN, "cn", ("encoding", None), data=LATIN.encode("latin-1"), cells={(1, "stadt"): "Köln"}),
    accepted("cp1252 euro", "a,b\n1,€ x\n2,x\n", "nc", ("encoding", None), data=b"a,b\n1,\x80 x\n2,x\n"),
    accepted("tabs", "a\tb\n1\tx,y\n2\tz\n", "nc", delimiter="\t", cells={(1, "b"): "x,y"}, filename="table.tsv"),
    accepted("pipes", "a|b\n1|x\n2|y\n", "nc", delimiter="|"),
    accepted("semicolons", "a;b\n1.5;x\n2;y\n", "nc", delimiter=";", cells={(1, "a"): 1.5}),
    accepted("semicolons and decimal comma", GERMAN, "nn", ("decimal_comma", "preis"), delimiter=";",
             cells={(1, "preis"): 1.5, (2, "menge"): 4}),
    accepted("decimal comma beside a point", "a;b\n1,5;1.500\n2,5;2.500\n", "nc", ("decimal_comma", "a"),
             ("mixed_decimal", "b"), delimiter=";", cells={(1, "b"): "1.500"}),
    accepted("quoted newlines", 'a,b\n1,"x\ny"\n2,"p\r\nq"\n', "nc", cells={(1, "b"): "x\ny", (2, "b"): "p\r\nq"}),
    accepted("quoted delimiters and quotes", 'a,b\n1,"x, ""y"""\n2,z\n', "nc", cells={(1, "b"): 'x, "y"'}),
    accepted("quote inside a field", 'a,b\n1,5" disk\n2,z\n', "nc", cells={(1, "b"): '5" disk'}),
    accepted("backslashes are characters", "a,b\n1,c:\\dir\n2,x\\ty\n", "nc", cells={(1, "b"): "c:\\dir"}),
    accepted("a backslash at the end of a line", "a,b\n1,c:\\\n2,y\n", "nc", cells={(1, "b"): "c:\\"}),
    accepted("quoted numbers", 'a,b\n"1","2"\n"3","4"\n', "nn", cells={(1, "a"): 1}),
    accepted("blank lines between", "a,b\n\n1,x\n\n\n2,y\n", "nc", ("blank_lines", None), cells={(2, "a"): 2}),
    accepted("blank lines at the end", "a,b\n1,x\n2,y\n\n\n", "nc"),
    accepted("blank lines in front", "\n\na,b\n1,x\n2,y\n", "nc"),
    accepted("one column", "a\n1\n2\n3\n", "n"),
    accepted("one column, blank line is missing", "a\n1\n\n3\n", "n", ("blank_lines", None), cells={(2, "a"): None}),
    accepted("one column, blank lines at the end", "a\n1\n3\n\n\n", "n"),
    accepted("one row", "a,b\n1,x\n", "nc"),
    accepted("padded header", " a , b\n1,x\n2,y\n", "nc", ("padded_column_name", "a"), ("padded_column_name", "b"),
             names=["a", "b"]),
    accepted("header that looks like data", "1,x\n2,y\n3,z\n", "nc", ("header_looks_like_data", "1")),
    accepted("unicode line separator is a character", "a,b\n1,x\u2028y\x85z\n2,y\n", "nc", names=["a", "b"],
             cells={(1, "b"): "x\u2028y\x85z"}),
    accepted("two gzip members", "a,b\n1,x\n2,y\n", "nc", filename="table.csv.gz",
             data=gzipped(b"a,b\n1,x\n") + gzipped(b"2,y\n")),
    accepted("gzip named csv", "a,b\n1,x\n2,y\n", "nc", data=gzipped(b"a,b\n1,x\n2,y\n")),
    accepted("gzip padded with zeros", "a,b\n1,2\n", "nn", data=_gzip_with_tail(b"\0" * 512)),
    accepted("csv named gz", "a,b\n1,x\n2,y\n", "nc", filename="table.csv.gz"),
    accepted("quotes, formulas and SQL are only text", 'a,"b""; DROP TABLE staged; --"\n1,\'; SELECT 1\n2,=1+1\n', "nc",
             names=["a", 'b"; DROP TABLE staged; --'], cells={(1, 'b"; DROP TABLE staged; --'): "'; SELECT 1"}),
    refused("empty file", b"", ("empty_file", None, None)),
    refused("blank lines only", b"\n\r\n\n", ("empty_file", None, None)),
    refused("bom only", b"\xef\xbb\xbf", ("empty_file", None, None)),
    refused("empty gzip", lambda: gzipped(b""), ("empty_file", None, None)),
    refused("header only", b"a,b\n", ("header_only", None, None)),
    refused("header only, no newline", b"a,b", ("header_only", None, None)),
    refused("empty column name", b"a,,c\n1,2,3\n", ("empty_column_name", None, None), lines=(1,)),
    refused("delimiter at the end of the header", b"a,b,\n1,2,\n", ("empty_column_name", None, None)),
    refused("duplicate column", b"a,b,a\n1,2,3\n", ("duplicate_column", None, "a"), lines=(1,)),
    refused("duplicate but for case", b"a,A\n1,2\n", ("duplicate_column", None, "A")),
    refused("duplicate but for spaces", b"a,a \n1,2\n", ("duplicate_column", None, "a")),
    refused("reserved name", b"file_row_number,b\n1,2\n", ("reserved_column_name", None, "file_row_number")),
    refused("line break in a name", b'"a\nb",c\n1,2\n', ("column_name_control_character", None, None)),
    refused("short row", b"a,b,c\n1,2,3\n4,5\n6,7,8\n", ("ragged_row", 2, None), lines=(3,)),
    refused("long row", b"a,b\n1,2\n3,4,5\n6,7\n8,9,10\n", ("ragged_row", 2, None), ("ragged_row", 4, None),
            lines=(3, 5)),
    refused("ragged behind a quoted newline", b'a,b\n1,"x\ny"\n3\n', ("ragged_row", 2, None), lines=(4,)),
    refused("a comma too many in one column", b"name\nx\nSmith, John\n", ("ragged_row", 2, None), lines=(3,)),
    refused("spaces only line", b"a,b\n1,2\n  \n3,4\n", ("ragged_row", 2, None), lines=(3,)),
    refused("unterminated quote", b'a,b\n1,"x\n2,y\n3,z\n', ("unterminated_quote", 1, None), lines=(2,)),
    refused("text behind a quote", b'a,b\n1,x\n2,"y"z\n', ("bad_quoting", 2, None), lines=(3,)),
    refused("quote that swallows a row", b'a,b\n1,"x\n2,"y"\n', ("bad_quoting", 1, None)),
    refused("nul", b"a,b\n1,x\n2,y\0z\n", ("nul_byte", 2, "b"), lines=(3,)),
    refused("nul in the header", b"a,b\0\n1,x\n", ("nul_byte", None, None), lines=(1,)),
    refused("nul in latin-1", b"a,b\n1,\xe9\n2,y\0z\n", ("nul_byte", 2, "b"), lines=(3,)),
    refused("utf-16 without bom", "a,b\n1,x\n".encode("utf-16-le"), ("nul_byte", None, None), lines=(1,)),
    refused("broken utf-8", "a,b\nñ,é\nü,x\n".encode() + b"z,\xff\n", ("invalid_utf8", 3, "b"), lines=(4,)),
    refused("truncated utf-8", "a,b\nñ,é\n".encode() + b"\xc3", ("invalid_utf8", 2, "a"), lines=(3,)),
    refused("utf-16 cut in half", "a,b\n1,x\n".encode("utf-16")[:-1], ("invalid_encoding", None, None)),
    refused("truncated gzip", lambda: gzipped(b"a,b\n1,2\n" * 99)[:-9], ("truncated_gzip", None, None)),
    refused("corrupt gzip", lambda: gzipped(b"a,b\n1,2\n")[:-8] + b"\0" * 8, ("corrupt_gzip", None, None)),
    refused("gzip with a tail", _gzip_with_tail(b"garbage"), ("trailing_garbage", None, None)),
    refused("gzip in gzip", lambda: gzipped(gzipped(b"a,b\n1,2\n")), ("unsupported_format", None, None)),
    refused("gzip bomb", lambda: gzipped(_many(1 << 23, "a,b\n1,2\n")), ("decompression_ratio", None, None)),
    refused("excel", b"PK\x03\x04 and so on", ("unsupported_format", None, None), filename="table.xlsx"),
)  # fmt: skip

VALUES = (
    accepted("booleans", "a,b\ntrue,x\nFALSE,y\nTrue,z\n,w\n", "bc",
             cells={(1, "a"): True, (2, "a"): False, (4, "a"): None}),
    accepted("yes and no are words", "a\nyes\nno\n", "c"),
    accepted("numbers in every form", "a\n1\n-2.5\n+3\n.5\n5.\n1e3\n1E-2\n 7 \n-0\n", "n",
             cells={(3, "a"): 3.0, (4, "a"): 0.5, (6, "a"): 1000.0, (8, "a"): 7.0}),
    accepted("digits that float64 rounds as Python does", "a\n0.1234567890123456789\n2.2250738585072011e-308\n"
             "1.7976931348623157e308\n4.9e-324\n9007199254740992.5\n", "n"),
    accepted("largest exact integers", "a\n9007199254740992\n-9007199254740992\n", "n", cells={(1, "a"): 2**53}),
    accepted("integers beyond 2^53", "a,b\n9007199254740993,1\n2,2\n", "cn", ("large_integers", "a"),
             cells={(1, "a"): "9007199254740993"}),
    accepted("integers beyond 2^53 among decimals", "a,b\n123456789012345678,1\n2.5,2\n", "cn", ("large_integers", "a"),
             cells={(1, "a"): "123456789012345678"}),
    accepted("integers beyond any type", f"a,b\n{'9' * 60},1\n2,2\n", "cn", ("large_integers", "a"),
             cells={(1, "a"): "9" * 60}),
    accepted("codes with leading zeros", "zip,b\n01234,1\n98765,2\n", "cn", ("leading_zeros", "zip"),
             cells={(1, "zip"): "01234", (2, "zip"): "98765"}),
    accepted("only leading zeros", "hour\n00\n01\n", "c", ("leading_zeros", "hour"), cells={(1, "hour"): "00"}),
    accepted("missing tokens", "a,b\nNA,x\n1,N/A\nnan,#N/A\n2,null\n NULL ,None\n", "nc", ("missing_tokens", "a"),
             ("missing_tokens", "b"), ("mostly_missing", "a"), ("mostly_missing", "b"),
             ("constant_column", "b"), ("duplicate_rows", None),
             cells={(1, "a"): None, (2, "a"): 1, (5, "a"): None, (2, "b"): None}),
    accepted("missing tokens in any case", "a,b\nn/a,x\n1,Null\n2,nAn\n3,#n/a\n4, NONE \n5,na\n6,n.a.\n7,nana\n", "nc",
             ("missing_tokens", "a"), ("missing_tokens", "b"), ("mostly_missing", "b"),
             cells={(1, "a"): None, (2, "b"): None, (3, "b"): None, (4, "b"): None, (5, "b"): None, (6, "b"): None,
                    (7, "b"): "n.a.", (8, "b"): "nana"}),
    accepted("blank cells are missing and said so", "a,b\n  ,x\n1,\t\n2,y\n", "nc", ("missing_tokens", "a"),
             ("missing_tokens", "b"), cells={(1, "a"): None, (2, "b"): None}),
    accepted("a question mark is a value", "a\n?\nx\n", "c", cells={(1, "a"): "?"}),
    accepted("all missing", "a,b\n,1\n,2\n", "tn", ("all_missing", "a")),
    accepted("dates", "a,b\n2024-02-29,2024-01-01T10:00\n2023-12-31,2024-01-01 10:00:01.25\n", "dd",
             cells={(1, "a"): datetime(2024, 2, 29), (2, "b"): datetime(2024, 1, 1, 10, 0, 1, 250000)}),
    accepted("times with offsets", "a\n2024-01-01T10:00:00Z\n2024-01-01T10:00:00+02:00\n", "d"),
    accepted("some times have offsets", "a\n2024-01-01T10:00:00Z\n2024-01-01T10:00:00\n", "c", ("mixed_type", "a")),
    accepted("a day that does not exist", "a\n2024-02-28\n2024-02-30\n", "c", ("mixed_type", "a")),
    accepted("finer than microseconds", "a\n2024-01-01T10:00:00.123456789\n2024-01-01T10:00:00.1\n", "c",
             ("mixed_type", "a")),
    accepted("year zero", "a\n0000-01-01\n2024-01-01\n", "c", ("mixed_type", "a")),
    accepted("times in other orders are text", "a\n01/02/2024\n03/02/2024\n", "c"),
    accepted("mixed", "a,b\n1,x\ntwo,y\n3,z\n", "cc", ("mixed_type", "a"), cells={(1, "a"): "1"}),
    accepted("amounts", 'a,b\n"1,234.50",5%\n$12,12 %\n', "cc", ("formatted_numbers", "a"), ("formatted_numbers", "b"),
             cells={(1, "a"): "1,234.50"}),
    accepted("underscores, hex and arabic digits are no numbers", "a,b,c\n1_000,0x1F,٣\n2_000,0x2F,٤\n", "ccc"),
    accepted("padded words", "a,b\n x,1\ny ,2\n z ,3\n", "cn", ("padded_values", "a"), cells={(1, "a"): " x"}),
    accepted("padded and plain spellings of a category", "a,b\npro,1\n pro ,2\nbasic,3\npro,4\n", "cn",
             ("padded_values", "a"), cells={(2, "a"): " pro "}),
    accepted("a few padded words of their own", "a\nx\n y\nz\nw\n", "c"),
    accepted("constant", "a,b\n1,x\n1,y\n", "nc", ("constant_column", "a")),
    accepted("duplicate rows", "a,b\n1,x\n2,y\n1,x\n1,x\n", "nc", ("duplicate_rows", None)),
    accepted("id", rows("id,b", *(f"k{row},{row % 3}" for row in range(30))), "tn", ("id_like", "id")),
    accepted("many short words are categorical", rows("a", *(f"k{row % 40}" for row in range(300))), "c",
             ("duplicate_rows", None)),
    refused("not a number", _numbers_but({7: "abc", 30: "n.a."}).encode(), ("not_a_number", 7, "x"),
            ("not_a_number", 30, "x"), lines=(8, 31)),
    refused("a leading space does not hide it", _numbers_but({7: " oops "}).encode(), ("not_a_number", 7, "x")),
    refused("1e999", b"a,b\n1,x\n1e999,y\n", ("not_finite", 2, "a"), lines=(3,)),
    refused("1e999 alone", b"a,b\n1e999,y\n", ("not_finite", 1, "a")),
    refused("a number of 400 digits and a point", b"a,b\n1,x\n" + b"9" * 400 + b".5,y\n", ("not_finite", 2, "a")),
    refused("inf", b"a,b\n1,x\n-Infinity,y\n2,z\ninf,w\n", ("not_finite", 2, "a"), ("not_finite", 4, "a")),
    refused("inf and a word", _numbers_but({3: "inf", 9: "?"}).encode(), ("not_finite", 3, "x"),
            ("not_a_number", 9, "x")),
    refused("decimal commas with a word", rows("a;b", *(f"{row},5;{row}" for row in range(30)), "x;1").encode(),
            ("not_a_number", 31, "a")),
    refused("more than a hundred", rows("a", *(["1"] * 6000), *(["x"] * 150)).encode(),
            *(("not_a_number", 6001 + row, "a") for row in range(100)), count=150),
)  # fmt: skip

PARQUET = (
    Case("parquet types", parquet({
        "i": pa.array([1, None, 3], pa.int32()), "f": pa.array([1.5, None, 2.5], pa.float32()),
        "b": [True, False, None], "s": ["x", None, "y"], "d": pa.array([date(2024, 1, 1), None, date(2024, 1, 2)]),
        "t": pa.array([datetime(2024, 1, 1, 10), None, datetime(2024, 1, 2)], pa.timestamp("ms")),
        "z": pa.array([datetime(2024, 1, 1, 10), None, datetime(2024, 1, 2)], pa.timestamp("ns", "Europe/Berlin")),
        "k": pa.array(["p", "q", None]).dictionary_encode(),
    }), types={"i": "numeric", "f": "numeric", "b": "boolean", "s": "categorical", "d": "datetime", "t": "datetime",
               "z": "datetime", "k": "categorical"},
        cells={(1, "i"): 1, (2, "f"): None, (1, "b"): True, (3, "s"): "y", (1, "d"): datetime(2024, 1, 1),
               (3, "k"): None}, filename="t.parquet"),
    Case("parquet named csv", parquet({"a": [1, 2]}), types={"a": "numeric"}, cells={(2, "a"): 2}),
    Case("parquet text is not guessed at", parquet({"a": ["007", "1"], "b": ["NA", "x"]}),
         types={"a": "categorical", "b": "categorical"}, cells={(1, "a"): "007", (1, "b"): "NA"}),
    Case("parquet nan", parquet({"a": [1.5, float("nan"), 2.5]}), types={"a": "numeric"}, cells={(2, "a"): None},
         warnings=frozenset({("missing_tokens", "a")})),
    Case("parquet wide integers", parquet({"a": [2**53 + 1, 1], "b": pa.array([2**64 - 1, 2], pa.uint64())}),
         types={"a": "categorical", "b": "categorical"}, cells={(1, "a"): str(2**53 + 1), (1, "b"): str(2**64 - 1)},
         warnings=frozenset({("large_integers", "a"), ("large_integers", "b")})),
    Case("parquet decimals", parquet({"a": [Decimal("1.50"), None]}), types={"a": "numeric"}, cells={(1, "a"): 1.5},
         warnings=frozenset({("decimal_as_float", "a"), ("constant_column", "a")})),
    Case("parquet nanoseconds", parquet({"a": pa.array([1, 2000], pa.timestamp("ns"))}), types={"a": "datetime"},
         warnings=frozenset({("time_precision", "a")})),
    Case("parquet all null", parquet({"a": pa.nulls(2), "b": [1, 2]}), types={"a": "text", "b": "numeric"},
         warnings=frozenset({("all_missing", "a")})),
    Case("parquet empty text is missing", parquet({"a": ["", "x", " "]}), types={"a": "categorical"},
         cells={(1, "a"): None, (3, "a"): None},
         warnings=frozenset({("missing_tokens", "a"), ("mostly_missing", "a"), ("constant_column", "a"),
                            ("duplicate_rows", None)})),
    refused("parquet inf", parquet({"a": [1.0, float("inf"), float("-inf")]}), ("not_finite", 2, "a"),
            ("not_finite", 3, "a")),
    refused("parquet nested", parquet({"a": [[1], [2]], "b": [{"x": 1}, {"x": 2}], "c": [1, 2]}),
            ("unsupported_type", None, "a"), ("unsupported_type", None, "b")),
    refused("parquet binary, time, duration", parquet({
        "a": [b"x"], "b": pa.array([1], pa.time64("us")), "c": pa.array([timedelta(1)])}),
        ("unsupported_type", None, "a"), ("unsupported_type", None, "b"), ("unsupported_type", None, "c")),
    refused("parquet duplicate columns", _duplicate_parquet, ("duplicate_column", None, "a")),
    refused("parquet without rows", parquet({"a": pa.array([], pa.int64())}), ("header_only", None, None)),
    refused("parquet nul", parquet({"a": ["x", "y\0"]}), ("nul_byte", 2, "a")),
    refused("parquet cut off", lambda: parquet({"a": [1, 2]})()[:-5], ("corrupt_parquet", None, None)),
    refused("parquet magic only", b"PAR1", ("corrupt_parquet", None, None)),
    refused("parquet garbled", lambda: bytes(parquet({"a": list(range(99))})()).replace(b"a", b"\xff"),
            ("corrupt_parquet", None, None)),
)  # fmt: skip


def growing(members: int) -> bytes:
    """A gzip file that grows some 40 times, too little for a bomb: 4 MiB for each member, made at the cost of one."""
    seed = random.Random(0)  # noqa: S311 - no secret
    line = "".join(f"{seed.getrandbits(64)}," for _ in range(2000)) + "0" * 1_200_000 + "\n"
    return gzipped((line * 4)[: 4 << 20].encode()) * members


def _one_page(value: str, rows: int) -> Callable[[], bytes]:
    """A Parquet file of one page of one long text, over and over."""
    return parquet({"a": [value] * rows}, use_dictionary=False, compression="gzip", data_page_size=1 << 30)


RECIPE = {"target": {"target": "y"}}

HOSTILE = (
    refused("gzip bomb by ratio", lambda: gzipped(bytes(64 << 20)), ("decompression_ratio", None, None),
            says="as a gzip bomb does"),
    refused("gzip bomb of many members", lambda: gzipped(_many(1 << 20, "a,b\n")) * 100,
            ("decompression_ratio", None, None)),
    refused("gzip bomb by bytes", lambda: growing(20), ("too_many_bytes", None, None), limits={"max_bytes": 40 << 20},
            says="as text. Split it, or upload less."),
    refused("parquet bomb by ratio", _one_page("x" * 1000, 80_000), ("decompression_ratio", None, None)),
    refused("parquet with a huge page", _one_page("x" * 1000, 8000), ("row_group_too_large", None, None),
            limits={"max_row_group": 4 << 20}, says="Write smaller row groups."),
    refused("parquet with huge row groups", parquet({"a": list(range(400_000))}, row_group_size=400_000),
            ("row_group_too_large", None, None), limits={"max_row_group": 1 << 20}),
    accepted("parquet with very many row groups", "", "n", ("id_like", "a"), names=["a"], filename="t.parquet",
             cells={(300, "a"): 299}, data=parquet({"a": list(range(300))}, row_group_size=1)),
    refused("a cell of 100 MB", lambda: b"a,b\n1,x\n2," + b"y" * 100_000_000 + b"\n",
            ("line_too_long", 2, "b"), lines=(3,)),
    refused("a line of 3 MB behind quoted line breaks", lambda: b'a;b;c\n1;"x\ny";2\n\n3;' + b"z" * 3_000_000 + b";4\n",
            ("line_too_long", 2, "b"), lines=(5,), limits={"max_line": 2 << 20}),
    refused("a header of 3 MB", lambda: b"a," + b"b" * 3_000_000 + b"\n1,2\n", ("line_too_long", None, None),
            lines=(1,), limits={"max_line": 2 << 20}),
    refused("a quoted cell of 100 MB in many lines", lambda: b'a,b\n1,x\n2,"' + b"yyyyyyyyy\n" * 10_000_000 + b'"\n',
            ("unterminated_quote", 2, None), lines=(3,)),
    refused("a row of a million cells", lambda: b"a,b\n1,2\n" + b"3," * 1_000_000 + b"4\n5,6\n",
            ("ragged_row", 2, None), lines=(3,)),
    refused("ten thousand columns", lambda: ",".join(f"c{each}" for each in range(10_000)).encode() + b"\n1\n",
            ("too_many_columns", None, None)),
    refused("commas only", b",,\n,,\n,,\n", *(("empty_column_name", None, None),) * 3, lines=(1, 1, 1)),
    refused("commas below a header", b"a,b,c\n,,\n,,,\n", ("ragged_row", 2, None), lines=(3,)),
    accepted("no value below a header", "a,b\n,\n,\n", "tt", ("all_missing", "a"), ("all_missing", "b"),
             ("duplicate_rows", None)),
    accepted("mixed line ends", "a,b\n1,x\r\n2,y\n3,z\r\n", "nc", cells={(1, "b"): "x", (3, "b"): "z"}),
    accepted("all three line ends", "a,b\n1,x\r\n2,y\r3,z\n", "nc", cells={(2, "b"): "y", (3, "a"): 3}),
    accepted("formulas", "a,b\n=1+1,1\n\"@SUM(A1:A9)\",2\n+cmd|' /C calc'!A0,3\n-2+3,4\n", "cn", names=["a", "b"],
             cells={(1, "a"): "=1+1", (3, "a"): "+cmd|' /C calc'!A0"}),
    accepted("html and scripts", "a,b\n<script>alert(1)</script>,1\n<img src=x onerror=alert(1)>,2\n", "cn",
             cells={(1, "a"): "<script>alert(1)</script>"}),
    accepted("right-to-left and zero-width characters", "a,b\n\u202eevil,1\nze\u200bro,2\n", "cn",
             cells={(2, "a"): "ze\u200bro"}),
    accepted("a name in another script", "größe,температура\n1,2\n3,4\n", "nn"),
    refused("a page instead of a table", b"<!DOCTYPE html>\n<html><body>404, not found</body></html>\n",
            ("ragged_row", 1, None)),
    refused("json instead of a table", b'{"a": 1, "b": 2}\n{"a": 3, "b": 4, "c": 5}\n', ("ragged_row", 1, None)),
    refused("target absent", b"a,Y\n1,2\n3,4\n", ("target_missing", None, "y"), config=RECIPE),
    refused("one class", b"a,y\n1,x\n2,x\n", ("target_one_class", None, "y"), config=RECIPE),
    refused("NaN labels", b"a,y\n1,0\n2,NaN\n3,1\n4,\n", ("target_labels_missing", 2, "y"),
            ("target_labels_missing", 4, "y"), config=RECIPE),
    refused("a contract broken", b"a,y\n1,0\n-2,1\n", ("contract_out_of_range", 2, "a"), config={"contract": {
        "number": 1, "contract": {"columns": [{"name": "a", "type": "numeric", "minimum": 0}]}}}),
)  # fmt: skip

CASES = (*STRUCTURE, *VALUES, *PARQUET, *HOSTILE)
