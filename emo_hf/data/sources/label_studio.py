"""Label Studio's full export: tasks with the annotations of one person or several."""

from __future__ import annotations

from typing import Any

from emo_hf.errors import UserError, few

_SHOWN = 5
LABEL = "label"
_GIVEN = "label of the data"


def is_export(records: list[Any]) -> bool:
    """Say whether the records are tasks: `{"data": {…}, "annotations": [{"result": […]}]}`."""
    return bool(records) and all(
        isinstance(record.get("data"), dict) and isinstance(record.get("annotations"), list) for record in records
    )


def task_rows(name: str, records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """A row for each task: its data, and the first choice that was made and not cancelled; and notes.

    Raises:
        UserError: a task that holds something else, choices for several questions.
    """
    rows: list[tuple[dict[str, Any], list[str]]] = []
    differ, unlabelled = [], []
    asked: dict[str, None] = {}
    for number, record in enumerate(records, 1):
        try:
            answers = [_answer(one) for one in record["annotations"] if not one.get("was_cancelled")]
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(
                f"{name}, item {number}: not a task of Label Studio's export (annotations[].result[].value.choices); "
                "export it again, as JSON-MIN or CSV if need be."
            ) from error
        asked.update(dict.fromkeys(question for answer in answers for question in answer))
        answers = [answer for answer in answers if any(answer.values())]  # others were handed in without a choice
        first = answers[0] if answers else {}
        if any(answer != first for answer in answers[1:]):
            differ.append(number)
        if not first:
            unlabelled.append(number)
        rows.append((_flat(record["data"]), next(iter(first.values()), [])))
    if len(asked) > 1:
        raise UserError(
            f"{name}: tasks with answers to several questions ({', '.join(asked)}); export it as JSON-MIN or CSV, and "
            "name one as --label_column."
        )
    given = any(LABEL in data for data, _ in rows)  # as labels of a model that the annotators were shown
    several = any(len(choices) > 1 for _, choices in rows)
    found = [
        {(_GIVEN if key == LABEL else key): value for key, value in data.items()}
        | {LABEL: choices if several else next(iter(choices), None)}
        for data, choices in rows
    ]
    notes = [f"{name}: the annotations are the label, and {LABEL} of the data is called {_GIVEN}"] if given else []
    if differ:
        notes.append(f"{name}: annotations differ in {_of(differ, records)}; the first one counts")
    if unlabelled:
        notes.append(f"{name}: no annotation in {_of(unlabelled, records)}")
    return found, tuple(notes)


def _answer(annotation: dict[str, Any]) -> dict[str, list[str]]:
    """The choices of an annotation, by the name of the question."""
    found: dict[str, list[str]] = {}
    for part in annotation["result"]:
        value = part.get("value") or {}
        if "choices" in value:
            found.setdefault(str(part.get("from_name") or LABEL), []).extend(map(str, value["choices"]))
    return found


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if not isinstance(value, dict)}


def _of(numbers: list[int], records: list[Any]) -> str:
    return f"{len(numbers):,} of {len(records):,} items ({few(map(str, numbers), _SHOWN)})"
