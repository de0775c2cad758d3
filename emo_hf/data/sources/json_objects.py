"""Objects inside the records of JSON: what they hold becomes columns, but for what no table has."""

from __future__ import annotations

from typing import Any

_DEEPEST, _MOST_NAMES = 5, 200


def flattened(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with the values of objects inside as columns, called as pandas does: `input.form`.

    Objects of many names, as of people or of words, are no columns.
    """
    keys: set[str] = set()
    found = []
    for record in records:
        if dict not in map(type, record.values()):
            found.append(record)
            continue
        found.append(_flat(record, _DEEPEST))
        keys.update(found[-1])
        if len(keys) > _MOST_NAMES:
            return [{key: _choices(value) for key, value in record.items()} for record in records]
    return found


def _flat(record: dict[str, Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in record.items():
        value = _choices(value)
        if isinstance(value, dict) and depth:
            inner = {f"{key}.{name}": one for name, one in _flat(value, depth - 1).items()}
            found |= {name: one for name, one in inner.items() if name not in record}
        else:
            found[key] = value
    return found


def _choices(value: Any) -> Any:
    """The list in {"choices": ["…"]}, as Label Studio's small export has it where a row has several."""
    if isinstance(value, dict) and set(value) == {"choices"} and isinstance(value["choices"], list):
        return value["choices"]
    return value


def holds_objects(value: Any) -> bool:
    """Whether a value is an object, or a list with one."""
    return any(isinstance(one, dict) for one in (value if isinstance(value, list) else [value]))
