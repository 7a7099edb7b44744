"""What a table's columns can be."""

import re
from typing import Literal

ColumnType = Literal["numeric", "categorical", "boolean", "datetime", "text"]

ID_NAME = re.compile(r"(?i:(^|[^a-z])(id|uuid|guid|key|index|row|rownum|number|nr|no)$)|[a-z]I[dD]$")
"""Found in the name of a column that numbers or names the rows."""
