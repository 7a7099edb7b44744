"""Every code that a finding about a table can have: names that programs may rely on, and what each means."""

from collections.abc import Mapping
from typing import Final

VIOLATIONS: Final[Mapping[str, str]] = {
    # the file
    "sha256_mismatch": "the file is not the one that was announced",
    "empty_file": "no bytes, or blank lines only",
    "unsupported_format": "neither CSV nor Parquet, gzip aside",
    "truncated_gzip": "the gzip file ends too early",
    "corrupt_gzip": "the gzip file is damaged",
    "trailing_garbage": "something follows the gzip data",
    "decompression_ratio": "it grows too much when decompressed, as a bomb does",
    "too_many_bytes": "too large once decompressed",
    "corrupt_parquet": "the Parquet file is damaged",
    "row_group_too_large": "a Parquet row group is too large",
    # the text
    "invalid_encoding": "the bytes are not in the encoding that the file seems to have",
    "invalid_utf8": "a byte that is not UTF-8",
    "nul_byte": "a NUL character",
    "line_too_long": "a line is too long",
    # the structure
    "header_only": "a header and no rows",
    "too_many_columns": "more columns than are read",
    "too_many_rows": "more rows than are read",
    "empty_column_name": "a column without a name",
    "column_name_too_long": "a column name is too long",
    "column_name_control_character": "a line break or control character in a column name",
    "reserved_column_name": "a column name that the SQL engine uses itself",
    "duplicate_column": "two columns of one name",
    "ragged_row": "a row with more or fewer fields than the header",
    "unterminated_quote": "a quote that is never closed",
    "bad_quoting": "text behind a closing quote",
    "unsupported_type": "a Parquet type that is no column of a table, such as a list",
    # the cells
    "cell_too_large": "a cell is too long",
    "not_a_number": "one of a few cells that are no numbers in a column of numbers",
    "not_finite": "a number that is not finite",
    # the data contract
    "contract_missing_column": "a required column is absent",
    "contract_extra_column": "a column that the contract does not allow",
    "contract_type": "a column, or a cell of it, is not of the contract's type",
    "contract_out_of_range": "a number outside the contract's range",
    "contract_not_allowed": "a value that the contract does not list",
    "contract_too_many_missing": "more cells are missing than the contract allows",
    "contract_not_unique": "a row repeats what the contract demands to be unique",
    "contract_too_few_rows": "fewer rows than the contract demands",
    "contract_too_many_rows": "more rows than the contract allows",
    # the recipe's target
    "target_missing": "the recipe's target is no column",
    "target_type": "the recipe's target is text or a time",
    "target_labels_missing": "rows without a target, which the contract does not allow",
    "target_one_class": "the target has one value only",
    # the platform
    "could_not_read": "validation itself failed; the message says why",
}

WARNINGS: Final[Mapping[str, str]] = {
    "encoding": "the text is not UTF-8",
    "ambiguous_delimiter": "another delimiter would split every row as evenly",
    "blank_lines": "blank lines between rows",
    "padded_column_name": "spaces around a column name were left out",
    "header_looks_like_data": "the header holds values",
    "decimal_comma": "numbers are read with a decimal comma",
    "mixed_decimal": "points in a file of decimal commas",
    "mixed_type": "numbers, times or booleans among other cells",
    "formatted_numbers": "amounts or percentages that are read as text",
    "leading_zeros": "codes that are kept as text",
    "large_integers": "whole numbers too long for a double, kept as text",
    "decimal_as_float": "Parquet decimals were read as doubles",
    "time_precision": "times finer than microseconds",
    "padded_values": "spaces around values, which are kept",
    "missing_tokens": "cells such as NA were read as missing",
    "all_missing": "a column without a value",
    "mostly_missing": "a column with more missing cells than values",
    "constant_column": "a column of one value",
    "id_like": "a column with a value of its own in every row",
    "duplicate_rows": "rows that repeat others in every column",
    # with a recipe
    "class_imbalance": "a class of the target is rare",
    "leakage": "a column alone predicts the target almost perfectly",
    "target_derived": "every value of a column belongs to one value of the target",
    "target_unsuitable": "training on the target will be refused; the message says why",
    # since the version before
    "column_added": "a column that the version before lacks",
    "column_lost": "a column that the version before has",
    "type_changed": "the column's type is another",
    "missing_rate_changed": "the share of missing cells moved by 5 points or more, beyond chance",
    "new_categories": "categories that the version before lacks, beyond chance",
    "drift": "the values are distributed differently, beyond chance and by more than a little",
}
