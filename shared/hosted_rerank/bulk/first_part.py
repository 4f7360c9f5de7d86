"""A check of the first part, which finds a wrong column before all rows are dead letters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.parts import Input, Part
from hosted_rerank.bulk.rows import Columns, find_row_error


def check_first_part(source: Input, parts: Sequence[Part]) -> None:
    """Raise `JobError` if no row of the first part can be sent. The message has the columns and proposes options."""
    if not parts:
        return
    records = source.read(parts[0]).records
    reasons = [record.error or find_row_error(record.fields, source.columns) for record in records]
    if not reasons or None in reasons:
        return
    (reason, _), *_ = Counter(reasons).most_common(1)
    fields: Mapping[str, Any] = next((record.fields for record in records if record.fields), dict[str, Any]())
    message = f"no row of the first part can be sent: {reason}"
    if fields:
        message += f"; the columns are {', '.join(fields)}"
    if options := _propose_columns(fields, source.columns):
        message += f": pass {options}"
    raise JobError(message)


def _propose_columns(fields: Mapping[str, Any], columns: Columns) -> str:
    """Return the options that name the columns of a row that look right; empty if the given ones are there."""
    texts = [name for name, value in fields.items() if isinstance(value, str)]
    lists = [name for name, value in fields.items() if isinstance(value, list)]
    options: list[str] = []
    if columns.query not in fields and texts:
        likely = (name for name in texts if any(word in name.lower() for word in ("quer", "question", "search")))
        options.append(f"--query {next(likely, texts[0])}")
    if columns.documents not in fields and lists:
        options.append(f"--documents {lists[0]}")
    elif columns.documents in texts or (not lists and len(texts) > 1):
        one = columns.documents if columns.documents in texts else texts[-1]
        options.append(f"--documents {one} --pairs")
    return " ".join(options)
