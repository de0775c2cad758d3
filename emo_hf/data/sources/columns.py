"""Which column is what, and the table of texts and labels that every source becomes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from emo_hf.data.several import COLUMNS, LIST, PLAIN
from emo_hf.data.sources.aihub import is_release
from emo_hf.data.sources.contents import label_like, names_of_ones, one_each, one_hot, text_like, word_like
from emo_hf.data.sources.files import suffix_of
from emo_hf.data.sources.names import (
    FURTHER_COLUMNS,
    LABEL_COLUMNS,
    MOST_NAMED,
    TEXT_COLUMNS,
    asked_column,
    matched,
    not_found,
)
from emo_hf.data.sources.tables import Table, clean_name
from emo_hf.data.text import clean_column
from emo_hf.errors import UserError, few
from emo_hf.escaping import shell_word

_EMPTY = 0.8  # of the rows: no column of theirs
_SPEAKERS = ("speaker", "speaker_id", "화자", "발화자")
_NO_LABELS = (*(FURTHER_COLUMNS[role] for role in ("dialogue", "age_group", "gender")), _SPEAKERS, ("split",))


@dataclass(frozen=True)
class Taken:
    """What a table gave: its rows, the names of the columns of text and label, and what is to be said of them."""

    rows: pd.DataFrame
    columns: dict[str, str]
    notes: tuple[str, ...]


def rows_of(
    table: Table,
    *,
    text_column: str | None,
    label_column: str | None,
    turns: str,
    like: Mapping[str, str] | None = None,
) -> Taken:
    """Pick text, label and whatever else is known from a table.

    The rows have text, label and major (the class beside a column of sub-emotions) as clean NFC strings, and those
    of dialogue, sub_emotion, situation, age_group, gender and split that the table has. `form` says how a label
    stands in its cell (see `label_sets`), file, column and row where, unread whether the cell of text or label holds
    what reads as empty, optional whether the text may be empty.
    Every human turn of a wide table of dialogues is a row of its own under `turns="all"`. `like` are the columns of a
    table before it: where there is no header, a few rows tell less than many.

    Raises:
        UserError: a column that is missing, with the columns found; one of JSON whose texts are not certain.
    """
    columns = list(table.frame.columns)
    source, notes = _sources(table, text_column, label_column, like)
    text, label = source["text"], source.get("label")
    if escaped := [name for name in source.values() if name in table.escaped]:
        raise UserError(
            f"{table.name}: column {escaped[0]!r} holds JSON and not texts, as datasets writes a column with a number "
            'among its texts, and a cell like "ok" may stand for ok, or for itself; give the files that it was made '
            "from as --data, or write each number there in quotes and save the data set again."
        )
    rows = pd.DataFrame({role: table.frame[name] for role, name in source.items()}, dtype="str")
    if "dialogue" in rows:
        rows["dialogue"] = _dialogues(rows["dialogue"], table.name)
    form = LIST if label in table.lists else PLAIN
    if label is None:
        ones = _columns_of_ones(table, text)
        rows["label"], form, label = names_of_ones(table.frame, ones), COLUMNS, ", ".join(ones)
        notes.append(
            f"{table.name}: no column is the label by its name, so those of 0 and 1 are: {few(ones, MOST_NAMED)}"
        )
    # Each line of a wide table is a dialogue of its own.
    rows = rows.assign(form=form, column=label, file=table.name, row=table.frame.index)
    for is_left, why in _left_out(table, text, label):
        numbers = rows.loc[is_left, "row"]
        said = f"{len(numbers):,} of {len(table.frame):,} rows ({few(map(str, numbers), 5)})"
        notes.append(f"{table.name}: {said} {why}, and are left out")
        rows = rows[~is_left]
    rows["unread"] = rows["row"].isin({row for name in (text, label) for row in table.unread.get(name, ())})
    wide = bool(re.fullmatch(r"사람문장\d{1,3}", text))
    if wide and "dialogue" not in rows:
        rows["dialogue"] = table.name + ":" + rows["row"].astype("str")
    if wide and turns == "all" and text_column is None:
        rows = _every_turn(rows, table.frame)
    # AI Hub leaves turns empty, and so does every table of several turns.
    rows["optional"] = is_release(table) | (rows.pop("turn") > 0 if "turn" in rows else False)
    for role in rows.columns.drop(["file", "row", "unread", "optional", "form", "column"]):
        rows[role] = clean_column(rows[role].fillna(""))
    for role, names in (("text", TEXT_COLUMNS), ("label", LABEL_COLUMNS)):
        asked = text_column if role == "text" else label_column
        others = [name for name in matched(columns, names) if name not in source.values()]
        if others and asked is None and role in source and table.headed:
            notes.append(f"{table.name}: {source[role]} is read as the {role}, {', '.join(others)} is not")
    return Taken(rows.reset_index(drop=True), {"text": text, "label": label}, tuple(notes))


def _sources(
    table: Table, text_column: str | None, label_column: str | None, like: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str]]:
    """The column of each role; none of the label where it stands in columns of 0 and 1."""
    columns = list(table.frame.columns)
    if not table.headed:
        return _by_contents(table, text_column, label_column, like)
    text = asked_column(columns, text_column, "text", table.name) or next(
        (name for name in matched(columns, TEXT_COLUMNS) if name not in table.lists), None
    )
    label = asked_column(columns, label_column, "label", table.name) or _usual_label(table)
    if text is None:
        raise _missing("text", table, [label])
    if label is None and not _columns_of_ones(table, text):
        raise _missing("label", table, [text])
    if text == label:
        raise UserError(f"{table.name}: column {text!r} is both the text and the label; name two columns.")
    source = {"text": text} | ({"label": label} if label else {})
    for role, names in FURTHER_COLUMNS.items():
        found = matched(columns, names)
        if found and found[0] != text:
            source[role] = found[0]
    majors = [name for name in matched(columns, LABEL_COLUMNS) if name != label]
    if majors and label == source.get("sub_emotion"):
        source["major"] = majors[0]
    if split := matched(columns, ("split",)):
        source["split"] = split[0]
    return source, []


def _usual_label(table: Table) -> str | None:
    """The first of the usual names; one that nearly all rows leave empty, as a summary beside them, is the last."""
    usual = matched(list(table.frame.columns), LABEL_COLUMNS)
    if len(usual) > 1:
        usual.sort(key=lambda name: (table.frame[name] == "").mean() > _EMPTY)
    return usual[0] if usual else None


def _by_contents(
    table: Table, text_column: str | None, label_column: str | None, like: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str]]:
    """Text and label of a table without a header."""
    columns = list(table.frame.columns)
    text, label = (
        asked_column(columns, asked, role, table.name)
        for asked, role in ((text_column, "text"), (label_column, "label"))
    )
    texts = [text] if text else [name for name in text_like(table.frame, columns) if name != label]
    labels = [label] if label else [name for name in label_like(table.frame, columns) if name not in texts]
    if not len(texts) == len(labels) == 1 and like and {*like.values()} <= {*columns}:
        texts, labels = [like["text"]], [like["label"]]
    if len(texts) == len(labels) == 1 and texts != labels:
        said = f"column {texts[0]} is read as the text, column {labels[0]} as the label"
        notes = [] if text and label else [f"{table.name} has no header: {said}"]
        return {"text": texts[0], "label": labels[0]}, notes
    if len(columns) == 1 and suffix_of(table.name) in (".csv", ".tsv", ".txt"):
        raise UserError(
            f"{table.name} has no header and one column; part texts and labels with tabs, or put the texts of each "
            "label into a .txt in a folder called by it."
        )
    # What is proposed was found to hold texts and labels.
    ways = [f"--header none --text_column {one} --label_column {other}" for one in texts for other in labels]
    ways = [way for way in ways[:2] if len(set(way.split()[3::2])) == 2]
    way_out = f"say which column is what, as {' or '.join(ways)}" if ways else "write one above the rows"
    found = f"{len(columns)} columns, of which {_or(texts) or 'none'} could be the text"
    raise UserError(f"{table.name} has no header: {found} and {_or(labels) or 'none'} the label; {way_out}.")


def _is_judged(frame: pd.DataFrame) -> bool:
    """Whether a column says of each row if its label is right, as Prodigy writes it."""
    answers = {*frame["answer"].unique()} if "answer" in frame else set()
    return {"accept"} <= answers <= {"accept", "reject", "ignore"}


def _left_out(table: Table, text: str, label: str) -> Iterator[tuple[pd.Series, str]]:
    """Which of the rows that are left are none to train on, and why."""
    frame = table.frame
    if table.headed and label in frame and (again := frame[label] == label).any():  # files put one after the other
        again &= frame[text].map(clean_name) == text
        if again.any():
            yield again, "hold the names of the columns once more"
            frame = frame[~again]
    if label != "answer" and _is_judged(frame) and (rejected := frame["answer"] != "accept").any():
        yield rejected, "are not accepted"


def _every_turn(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    turn_columns = sorted(
        (name for name in frame if re.fullmatch(r"사람문장\d{1,3}", name)), key=lambda name: int(name[4:])
    )
    turns = [rows.assign(text=frame[name], turn=place) for place, name in enumerate(turn_columns)]
    return pd.concat(turns).sort_values(["row", "turn"], kind="stable")


def _dialogues(cells: pd.Series, where: str) -> pd.Series:
    """The dialogue of each row, also where a mark, or its number, stands in the first row of each dialogue alone."""
    marked = cells.fillna("").str.strip() != ""
    marks = cells[marked]
    if marked.all() or len(marks) < 2 or not (marks.nunique() == 1 or marks.is_unique):
        return cells
    return where + ":" + marked.cumsum().astype("str")


def _columns_of_ones(table: Table, text: str) -> list[str]:
    """The labels that stand in columns of their own, after the text, or, if there are none, before it."""
    columns = list(table.frame.columns)
    place = columns.index(text)
    known = {name for names in (*FURTHER_COLUMNS.values(), ("split",)) for name in matched(columns, names)}
    after, before = (
        one_hot(table.frame, [name for name in part if name not in known])
        for part in (columns[place + 1 :], columns[:place])
    )
    others = [name for name in columns if name not in (*(after or before), text)]
    if after:  # two of them may be anything, as married and employed, where another column could be the label
        return [] if len(after) == 2 and label_like(table.frame, others) else after
    # What else is known of a text stands before it too.
    is_doubtful = len(before) == 2 and not one_each(table.frame, before)
    return [] if is_doubtful or label_like(table.frame, [name for name in others if name not in known]) else before


def _missing(role: str, table: Table, taken: Sequence[str | None]) -> UserError:
    """What to do where no column has a usual name: proposed are columns that could be it, as a look at them shows."""
    columns = list(table.frame.columns)
    said = not_found(role, columns, table.name)
    if len(columns) == 1 and suffix_of(table.name) in (".csv", ".tsv", ".txt"):
        return UserError(f"{said}; part columns with commas, tabs or semicolons.")
    rest = [name for name in columns if name not in taken]
    if role == "text":
        rest = [name for name in rest if name not in table.lists]
        likely = text_like(table.frame, rest)
        likely = likely or [
            name for name in word_like(table.frame, rest) if name not in matched(columns, LABEL_COLUMNS)
        ]
    else:
        about = {name for part in _NO_LABELS for name in matched(columns, part)}
        about |= {"answer"} if _is_judged(table.frame) else set()
        likely = label_like(table.frame, [name for name in rest if name not in about], table.lists)
    if not likely:
        none = "sentences" if role == "text" else "a few values that come again and again"
        return UserError(f"{said}; none of the others holds {none}, so add a column {role}.")
    if len(likely) == 1:
        word = shell_word(likely[0]) if likely[0].isprintable() else str(columns.index(likely[0]) + 1)
        return UserError(f"{said}; is it {likely[0]!r}? then --{role}_column {word}.")
    return UserError(f"{said}; {_or(likely)} could be it: name yours with --{role}_column.")


def _or(columns: Sequence[str]) -> str:
    return " or ".join(columns[:5])
