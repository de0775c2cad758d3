"""JSON as people keep tables in it: records, columns, what pandas writes, texts by label, Label Studio's exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emo_hf.data.sources.dialogues import dialogue_rows, is_dialogues
from emo_hf.data.sources.header import named_rows
from emo_hf.data.sources.json_objects import flattened, holds_objects
from emo_hf.data.sources.label_studio import is_export, task_rows
from emo_hf.data.sources.names import LABEL_COLUMNS, TEXT_COLUMNS, matched
from emo_hf.data.sources.tables import Cells, Layout, check_size, header_of
from emo_hf.data.split_names import split_of
from emo_hf.errors import UserError

_NEEDED = '[{"sentence": "…", "label": "…"}, …]'
_PANDAS_TABLE = {"schema", "data"}  # to_json(orient="table")
_PANDAS_SPLIT = {"columns", "data"}  # to_json(orient="split"), without an index or with one


@dataclass(frozen=True)
class _Part:
    """Records of one table: their numbers, and of a table among several, its name."""

    records: list[Any]
    numbers: Sequence[int]
    sheet: str | None = None


def parsed(text: str) -> Any:
    """The content of JSON.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    # pandas and numpy write a missing value as NaN, which would else pass as the text "nan".
    return json.loads(text, parse_constant=lambda constant: None if constant == "NaN" else constant)


def why(error: Exception) -> str:
    """What is wrong with JSON, in a few words."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error).split(";")[0]


def lines_cells(name: str, lines: Sequence[tuple[int, str]], layout: Layout | None = None) -> Cells:
    """The table of some JSON lines, given with their numbers; with a layout they may be lists, and not objects.

    Raises:
        UserError: a line that is no JSON object.
    """
    records = []
    for number, line in lines:
        try:
            records.append(parsed(line))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{name}, row {number}: not a JSON object ({why(error)}); mend the line.") from error
    part = _Part(records, [number for number, _ in lines])
    if layout is None or not records or not is_row(records[0]):
        return _table_of(name, part)
    rows = zip(part.numbers, records, strict=True)
    if odd := next((number for number, record in rows if not isinstance(record, list)), 0):
        raise UserError(f"{name}, row {odd}: not a list, as the first row is; mend the line.")
    return _table_of_lists(name, part, layout)


def is_row(record: Any) -> bool:
    """Whether it is cells of one row, as in a line `["좋아요", "긍정"]`, and neither a list of objects nor a text."""
    if not isinstance(record, list) or len(record) < 2 or not any(isinstance(cell, str) for cell in record):
        return False
    return not any(isinstance(cell, dict) for cell in record)


def json_cells(name: str, content: Any, layout: Layout) -> list[Cells]:
    """The tables that the content of a JSON file holds: one, or one for each split.

    Raises:
        UserError: it holds none, or a record that does not fit.
    """
    parts = list(_parts(name, content))
    if layout.sheet is not None and any(part.sheet for part in parts):
        parts = [_named(name, parts, layout.sheet)]
    tables = []
    for part in parts:
        called = f"{name} ({part.sheet})" if len(parts) > 1 else name
        if part.records and all(isinstance(record, list) for record in part.records):  # orient="values"
            tables.append(_table_of_lists(called, part, layout))
        elif part.records and all(isinstance(record, str) for record in part.records):
            columns = _checked(called, {"1": part.records}, part.numbers)
            tables.append(Cells(called, columns, part.numbers, sheet=part.sheet, headed=False))
        else:
            tables.append(_table_of(called, part))
    return tables


def _named(name: str, parts: Sequence[_Part], sheet: str) -> _Part:
    found = next((part for part in parts if part.sheet == sheet), None)
    if found is None:
        titles = ", ".join(part.sheet for part in parts if part.sheet)
        raise UserError(f"--sheet {sheet}: {name} has only {titles}; name one.")
    return found


def _parts(name: str, content: Any) -> Iterator[_Part]:
    """The tables of JSON, by its shape."""
    if isinstance(content, list):
        yield _numbered(content)
        return
    if not isinstance(content, dict):
        raise _no_list(name)
    keys, values = set(content), list(content.values())
    if _is_record(content):  # each row has a file of its own
        yield _numbered([content])
        return
    if keys >= _PANDAS_SPLIT and keys <= {*_PANDAS_SPLIT, "index"} and _are_lists(content["data"]):
        yield _numbered(
            [_zipped(name, content["columns"], row, place) for place, row in enumerate(content["data"], 1)]
        )
    elif keys >= _PANDAS_TABLE and isinstance(content["schema"], dict):
        yield from _parts(name, content["data"])
    elif len(keys) > 1 and all(map(split_of, keys)):  # {"train": {"text": […], "label": […]}, "test": {…}}
        for key, inner in content.items():
            yield from (replace(part, sheet=key) for part in _parts(name, inner))
    elif values and all(isinstance(value, list) for value in values):
        yield from _of_lists(name, _without_others(content))
    elif len(values) == 1 and isinstance(values[0], dict) and _holds_a_table(values[0]):
        yield from _parts(name, values[0])  # {"data": {"train": […], "test": […]}}
    elif values and all(isinstance(value, dict) for value in values):
        yield _numbered(_of_objects(content))
    elif lists := {key: value for key, value in content.items() if isinstance(value, list)}:
        if len(lists) == 1:  # {"version": 1, "data": [{…}]}
            yield _numbered(next(iter(lists.values())))
        elif len(records := _without_others(lists)) < len(lists) or _are_objects(records):
            yield from _of_lists(name, records)  # {"version": 1, "train": [{…}], "test": [{…}]}
        elif len({len(value) for value in lists.values()}) == 1:  # {"version": 1, "sentence": […], "label": […]}
            yield _numbered(_of_columns(lists))
        else:
            raise _no_list(name)
    else:
        raise _no_list(name)


def _is_record(content: dict[str, Any]) -> bool:
    """Whether it is a text and what is known of it, and no name above lists or records."""
    texts = matched(list(content), TEXT_COLUMNS)
    lists = [key for key, value in content.items() if isinstance(value, list)]
    inner = [one for value in content.values() if isinstance(value, dict) for one in value.values()]
    deeper = any(isinstance(one, list | dict) for one in inner)
    return (
        any(isinstance(content[key], str) for key in texts) and lists == matched(lists, LABEL_COLUMNS) and not deeper
    )


def _no_list(name: str) -> UserError:
    return UserError(f"{name}: not a list of objects; needed is {_NEEDED}.")


def _without_others(lists: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The lists of objects, where others are no columns beside them: `{"authors": ["…"], "data": [{…}, {…}]}`."""
    records = {key: value for key, value in lists.items() if value and _are_objects({key: value})}
    others = {len(value) for key, value in lists.items() if key not in records and value}
    usual = matched(list(lists), (*TEXT_COLUMNS, *LABEL_COLUMNS))
    return lists if not records or usual or others & set(map(len, records.values())) else records


def _are_objects(lists: dict[str, list[Any]]) -> bool:
    return all(isinstance(record, dict) for records in lists.values() for record in records)


def _of_lists(name: str, content: dict[str, list[Any]]) -> Iterator[_Part]:
    """Lists by name: records, the records of splits, columns, or the texts of each label."""
    if _are_objects(content):
        if len(content) > 1 and not any(split_of(key) for key in content):
            raise UserError(
                f"{name}: lists of objects under {', '.join(content)}; name them train, validation, test, or make one "
                f"list of them: {_NEEDED}."
            )
        for key, records in content.items():
            yield replace(_numbered(records), sheet=key if len(content) > 1 else None)
        return
    usual = matched(list(content), (*TEXT_COLUMNS, *LABEL_COLUMNS))
    one_length = len({len(value) for value in content.values()}) == 1
    texts = all(isinstance(text, str) for value in content.values() for text in value)
    if len(content) > 1 and texts and not usual and not (one_length and _come_again(content)):
        yield _numbered([{"text": text, "label": label} for label, found in content.items() for text in found])
    elif one_length and (len(content) > 1 or usual):
        yield _numbered(_of_columns(content))
    elif len(content) == 1:
        yield _numbered(next(iter(content.values())))
    else:
        lengths = ", ".join(f"{key} {len(value):,}" for key, value in content.items())
        raise UserError(f"{name}: its columns are not of one length ({lengths}); mend or export it again.")


def _come_again(content: dict[str, list[Any]]) -> bool:
    """Whether a list holds a few values that come again and again, as a column of labels does."""
    return any(len(set(value)) <= len(value) / 3 for value in content.values() if value)


def _of_columns(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _holds_a_table(content: dict[str, Any]) -> bool:
    """Whether an object is no record itself, but lists or records by name."""
    values = list(content.values())
    objects = all(isinstance(value, dict) for value in values) and not is_dialogues([content])
    return objects or all(isinstance(value, list) for value in values)


def _of_objects(content: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """{"sentence": {"0": "…"}, "label": {"0": "…"}}, or {"0": {"sentence": "…", "label": "…"}}, as pandas has them."""
    inner = dict.fromkeys(key for value in content.values() for key in value)
    if not _are_records(content, list(inner)):
        return [{name: column.get(row) for name, column in content.items()} for row in inner]
    if _are_counted(list(content)):
        return list(content.values())
    return [{"id": key} | record for key, record in content.items()]  # which leads back from a prediction


def _are_records(content: dict[str, dict[str, Any]], inner: Sequence[str]) -> bool:
    """Whether objects by name are rows by their ids, and not columns by their names."""
    usual = (*TEXT_COLUMNS, *LABEL_COLUMNS)
    if all(matched(list(record), TEXT_COLUMNS) for record in content.values()):
        return True
    if matched(list(content), usual) or _are_counted(inner):
        return False
    # Where no name tells, a table has more rows than columns.
    return _are_counted(list(content)) or bool(matched(inner, usual)) or len(content) > len(inner)


def _are_counted(keys: Sequence[str]) -> bool:
    return all(map(re.compile(r"\d+").fullmatch, keys))


def _are_lists(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, list) for row in rows)


def _zipped(name: str, columns: Any, row: list[Any], number: int) -> dict[str, Any]:
    if not isinstance(columns, list) or len(columns) != len(row):
        raise UserError(f"{name}, row {number}: {len(row)} cells, but not as many columns; export it again.")
    return dict(zip(map(str, columns), row, strict=True))


def _numbered(records: list[Any]) -> _Part:
    return _Part(records, range(1, len(records) + 1))


def _table_of_lists(name: str, part: _Part, layout: Layout) -> Cells:
    """Rows without names of their own, unless the first has them."""
    width = max(map(len, part.records))
    rows = [[cell_of(cell) or "" for cell in row] + [""] * (width - len(row)) for row in part.records]
    filled = [one for one in zip(part.numbers, rows, strict=True) if any(one[1])]
    found = named_rows(name, filled, layout)
    if found is None:
        raise UserError(f"{name} holds no rows; check that it was saved completely.")
    numbers, cells = [], []
    for number, row in found.rows:
        numbers.append(number)
        cells.append(row)
    check_size(name, len(found.names), len(cells))
    columns = dict(zip(found.names, map(list, zip(*cells, strict=True)), strict=True)) if cells else {}
    columns = _checked(name, columns, numbers)
    return Cells(name, columns, numbers, sheet=part.sheet, headed=found.headed, in_rows=True, notes=found.notes)


def _table_of(name: str, part: _Part) -> Cells:
    """Records, each an object."""
    records, notes = part.records, tuple[str, ...]()
    for number, record in zip(part.numbers, records, strict=True):
        if not isinstance(record, dict):
            raise UserError(f'{name}, row {number}: not an object; needed is {{"sentence": "…", "label": "…"}}.')
    if is_dialogues(records):
        records = dialogue_rows(name, records)
    elif is_export(records):
        records, notes = task_rows(name, records)
    records = flattened(records)
    keys = dict.fromkeys(key for record in records for key in record)
    check_size(name, len(keys), len(records))
    columns: dict[str, list[str]] = {}
    lists = set()
    for key in keys:
        values = [record.get(key) for record in records]
        if any(map(holds_objects, values)):  # a text or a label is no list of objects
            continue
        if any(isinstance(value, list) for value in values):
            values = [value if value is None or isinstance(value, list) else [value] for value in values]
            lists.add(key)
        columns[key] = [cell_of(value) or "" for value in values]
    titles = dict(zip(columns, header_of(name, list(columns)), strict=True))
    columns = _checked(name, {titles[key]: cells for key, cells in columns.items()}, part.numbers)
    of_lists = frozenset(titles[key] for key in lists)
    return Cells(name, columns, part.numbers, lists=of_lists, sheet=part.sheet, notes=tuple(notes))


def _checked(name: str, columns: dict[str, list[str]], numbers: Sequence[int]) -> dict[str, list[str]]:
    """The columns, every letter of which can be written."""
    try:
        for cells in ([*columns], *columns.values()):
            "".join(cells).encode()
    except UnicodeEncodeError as error:
        rows = zip(numbers, zip(*columns.values(), strict=True), strict=True)
        # or a name of a column is
        broken = next((number for number, row in rows if any(map(_is_broken, row))), numbers[0])
        raise UserError(f"{name}, row {broken}: half of a \\ud… escape pair; mend or remove it.") from error
    return columns


def cell_of(value: Any) -> str | None:
    """A value as the string of a cell; None where there is none. A list is JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _is_broken(cell: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in cell)
