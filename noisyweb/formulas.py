"""Tables whose text a spreadsheet would not run."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA = r"^[=+\-@\t\r\n]"


def without_formulas(table: pa.Table) -> pa.Table:
    """The same table, text that a spreadsheet would take for a formula led by an apostrophe."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            text = table.column(place)
            risky = pc.match_substring_regex(text, _FORMULA)
            table = table.set_column(place, field, pc.if_else(risky, pc.binary_join_element_wise("'", text, ""), text))
    return table
