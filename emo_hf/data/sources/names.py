"""The names that columns usually go by, and the column that a name or a number stands for."""

from __future__ import annotations

from collections.abc import Sequence

from emo_hf.errors import UserError, few

MOST_NAMED = 20  # columns in a message

TEXT_COLUMNS = (
    "sentence", "text", "document", "사람문장1", "utterance", "문장", "발화", "발화문", "사람문장", "댓글", "후기",
    "리뷰", "comment", "review", "content", "sentences", "texts", "documents", "utterances", "comments", "reviews",
    "contents",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "emotion", "감정", "감정_대분류", "labels", "라벨", "레이블", "sentiment", "emotions", "sentiments",
    "상황",
)  # fmt: skip
_DIALOGUE_COLUMNS = (
    "dialogue", "dialogue_id", "dialog_id", "conversation_id", "talk_id", "talk-id", "대화번호", "dialog #",
    "dialogue #", "dialog",
)  # fmt: skip
FURTHER_COLUMNS = {
    "dialogue": _DIALOGUE_COLUMNS,
    "sub_emotion": ("sub_emotion", "감정_소분류"),
    "situation": ("situation", "상황키워드"),
    "age_group": ("age_group", "연령"),
    "gender": ("gender", "성별"),
}
KNOWN = (*TEXT_COLUMNS, *LABEL_COLUMNS, *(name for names in FURTHER_COLUMNS.values() for name in names), "split")


def matched(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns with one of these names, in the order of the names, upper case or lower."""
    lower = {column.lower(): column for column in columns}
    return [lower[name] for name in names if name in lower]


def find_text_column(columns: Sequence[str], wanted: str | None, where: str) -> str:
    """The column that was asked for by name or number, or the first of a usual name.

    Raises:
        UserError: there is none, with the columns found.
    """
    if found := asked_column(columns, wanted, "text", where) or next(iter(matched(columns, TEXT_COLUMNS)), None):
        return found
    raise UserError(not_found("text", columns, where) + "; name yours with --text_column.")


def asked_column(columns: Sequence[str], wanted: str | None, role: str, where: str) -> str | None:
    """The column of the name that was asked for, or of the number, from 1."""
    if wanted is None or wanted in columns:
        return wanted
    if wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(columns):
        return columns[int(wanted) - 1]
    raise UserError(f"{where}: --{role}_column {wanted!r} is missing; columns found: {few(columns, MOST_NAMED)}.")


def not_found(role: str, columns: Sequence[str], where: str) -> str:
    """What a message begins with where no column has a usual name."""
    names = TEXT_COLUMNS if role == "text" else LABEL_COLUMNS
    return f"{where}: no {role} column; looked for {', '.join(names)}; columns found: {few(columns, MOST_NAMED)}"
