"""The names that columns usually go by."""

from __future__ import annotations

from collections.abc import Sequence

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
