"""Which lines are JSON as RFC 8259 has it, within the depth limit (spec 1, section 2), as SQL.

DuckDB's parser also takes NaN, Infinity and trailing commas, and turns `\\u0000` into a NUL; those lines are refused.
Each line is scanned once for anything suspicious; only suspects are looked at closely.
"""

from __future__ import annotations

from eventpipe.sql import literal

_SUSPECT = r"(?i)[:\[,]\s*[-+]?(nan|inf)|,\s*[\]}]|\\u0000"
_STRING = r'"([^"\\]|\\.)*"'
_NOT_JSON = r"(?i)nan|inf|,\s*[\]}]"
_NUL_ESCAPE = r"(^|[^\\])(\\\\)*\\u0000"


def fault(raw: str, is_object: str, deep: str, depth: int) -> str:
    """A reason code, or null for a line that holds one JSON object.

    `is_object` says that DuckDB's parser read an object; `deep`: there are more brackets than `depth`.
    """
    bare = f"regexp_replace({raw}, {literal(_STRING)}, '\"\"', 'g')"
    return (
        f"case when not coalesce({is_object}, false) then 'json.invalid'"
        f" when regexp_matches({raw}, {literal(_SUSPECT)})"
        f" and (regexp_matches({bare}, {literal(_NOT_JSON)}) or regexp_matches({raw}, {literal(_NUL_ESCAPE)}))"
        f" then 'json.invalid'"
        f" when {deep} and {_deeper(bare, depth)} then 'json.depth' end"
    )


def trailing_comma(text: str) -> str:
    """True where a comma has nothing behind it, which DuckDB's parser takes and leaves out of what it writes again."""
    bare = f"regexp_replace({text}, {literal(_STRING)}, '\"\"', 'g')"
    comma = literal(r",\s*[\]}]")
    return f"(regexp_matches({text}, {comma}) and regexp_matches({bare}, {comma}))"


def _deeper(bare: str, depth: int) -> str:
    """True when brackets nest deeper than `depth`: each round takes away the innermost pairs, of one kind by then."""
    brackets = f"translate(regexp_replace({bare}, '[^\\[\\]{{}}]', '', 'g'), '{{}}', '[]')"
    rounds = f"list_prepend({brackets}, list_transform(range({depth}), lambda i: ''))"
    return f"list_reduce({rounds}, lambda text, _: replace(text, '[]', '')) <> ''"
