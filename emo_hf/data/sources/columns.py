"""Which column is what, and the table of texts and labels that every source becomes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import pandas as pd

from emo_hf.data.sources.aihub import is_release
from emo_hf.data.sources.readers import suffix_of
from emo_hf.data.sources.tables import Table
from emo_hf.errors import UserError

logger = logging.getLogger(__name__)

TEXT_COLUMNS = ("sentence", "text", "document", "사람문장1", "utterance", "문장", "발화")
LABEL_COLUMNS = ("label", "emotion", "감정", "감정_대분류", "labels", "라벨", "레이블")
_OTHER_COLUMNS = {
    "dialogue": ("dialogue", "dialogue_id", "dialog_id", "conversation_id", "talk_id", "talk-id", "대화번호"),
    "sub_emotion": ("sub_emotion", "감정_소분류"),
    "situation": ("situation", "상황키워드"),
    "age_group": ("age_group", "연령"),
    "gender": ("gender", "성별"),
}
OTHER_COLUMNS = tuple(_OTHER_COLUMNS)
_EDGES = r"^[\s\u200b\ufeff]+|[\s\u200b\ufeff]+$"


def rows_of(
    table: Table, *, text_column: str | None, label_column: str | None, turns: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Pick text, label and whatever else is known from a table; return the rows and the names of the columns chosen.

    The rows have text, label and major (the class beside a column of sub-emotions) as clean NFC strings, and those
    of dialogue, sub_emotion, situation, age_group, gender and split that the table has. File and row say where a row
    stands, optional whether its text may be empty. Every human turn of a wide table of dialogues is a row of its own
    under `turns="all"`.

    Raises:
        UserError: a column that is missing, with the columns found; one of JSON whose texts are not certain.
    """
    columns = list(table.frame.columns)
    text = find_text_column(columns, text_column, table.name)
    label = _find(columns, LABEL_COLUMNS, label_column, "label", table.name)
    if text == label:
        raise UserError(f"{table.name}: column {text!r} is both the text and the label; name two columns.")
    source = {"text": text, "label": label}
    for role, names in _OTHER_COLUMNS.items():
        found = _match(columns, names)
        if found and found[0] != text:
            source[role] = found[0]
    majors = [name for name in _match(columns, LABEL_COLUMNS) if name != label]
    if majors and label == source.get("sub_emotion"):
        source["major"] = majors[0]
    if split := _match(columns, ("split",)):
        source["split"] = split[0]
    if escaped := [name for name in source.values() if name in table.escaped]:
        raise UserError(
            f"{table.name}: column {escaped[0]!r} holds JSON and not texts, as datasets writes a column with a number "
            'among its texts, and a cell like "ok" may stand for ok, or for itself; give the files that it was made '
            "from as --data, or write each number there in quotes and save the data set again."
        )
    rows = pd.DataFrame({role: table.frame[name] for role, name in source.items()}, dtype="str")
    rows["file"] = table.name
    rows["row"] = table.frame.index
    # Each line of a wide table is a dialogue of its own.
    wide = bool(re.fullmatch(r"사람문장\d{1,3}", text))
    if wide and "dialogue" not in rows:
        rows["dialogue"] = table.name + ":" + rows["row"].astype("str")
    if wide and turns == "all" and text_column is None:
        rows = _every_turn(rows, table.frame)
    # AI Hub leaves turns empty, and so does every table of several turns.
    rows["optional"] = is_release(table) | (rows.pop("turn") > 0 if "turn" in rows else False)
    words = rows.columns.drop(["file", "row", "optional"])
    for role in words:
        rows[role] = rows[role].fillna("").str.normalize("NFC").str.replace(_EDGES, "", regex=True)
    return rows.reset_index(drop=True), {role: name for role, name in source.items() if role in ("text", "label")}


def _every_turn(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    turn_columns = sorted(
        (name for name in frame if re.fullmatch(r"사람문장\d{1,3}", name)), key=lambda name: int(name[4:])
    )
    turns = [rows.assign(text=frame[name], turn=place) for place, name in enumerate(turn_columns)]
    return pd.concat(turns).sort_values(["row", "turn"], kind="stable")


def _match(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns with one of these names, in the order of the names, upper case or lower."""
    lower = {column.lower(): column for column in columns}
    return [lower[name] for name in names if name in lower]


def find_text_column(columns: Sequence[str], wanted: str | None, where: str) -> str:
    """The column that was asked for, or the first of a usual name.

    Raises:
        UserError: there is none, with the columns found.
    """
    return _find(columns, TEXT_COLUMNS, wanted, "text", where)


def _find(columns: Sequence[str], names: Sequence[str], wanted: str | None, role: str, where: str) -> str:
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise UserError(f"{where}: --{role}_column {wanted!r} is missing; columns found: {', '.join(columns)}.")
    found = _match(columns, names)
    if not found:
        single = len(columns) == 1 and suffix_of(where) in (".csv", ".tsv", ".txt")
        raise UserError(
            f"{where}: no {role} column; looked for {', '.join(names)}; columns found: {', '.join(columns)}; "
            f"{'part columns with commas, tabs or semicolons' if single else f'name yours with --{role}_column'}."
        )
    if len(found) > 1:
        logger.warning("%s: %s is read as the %s, %s is not", where, found[0], role, ", ".join(found[1:]))
    return found[0]
