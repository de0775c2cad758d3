"""AI Hub's JSON dialogues as the table that its XLSX release holds, so that one reader serves all releases."""

from __future__ import annotations

from typing import Any

from emo_hf.data.taxonomy import find_emotion
from emo_hf.errors import UserError

_AGES = {"A01": "청소년", "A02": "청년", "A03": "중년", "A04": "노년"}
_GENDERS = {"G01": "남성", "G02": "여성"}


def is_dialogues(records: list[dict[str, Any]]) -> bool:
    """Say whether the records are AI Hub's `{"profile": …, "talk": …}`."""
    return bool(records) and isinstance(records[0].get("profile"), dict) and isinstance(records[0].get("talk"), dict)


def dialogue_rows(name: str, records: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Turn each dialogue into a row with the column names of the XLSX release.

    Raises:
        UserError: an item without emotion or content, or with an unknown emotion code.
    """
    return [_row(name, number, record) for number, record in enumerate(records, start=1)]


def _row(name: str, number: int, record: dict[str, Any]) -> dict[str, str]:
    try:
        profile, talk = record["profile"], record["talk"]
        code = str(profile["emotion"]["type"]).strip()
        content = talk["content"]
        content["HS01"]  # may be empty, but every dialogue has it
        turns = {f"사람문장{int(key[2:])}": str(text or "") for key, text in content.items() if key.startswith("HS")}
        human = [str(tag) for tag in (profile.get("persona") or {}).get("human") or ()]
        situation = [str(tag) for tag in profile["emotion"].get("situation") or ()]
        talk_id = str((talk.get("id") or {}).get("talk-id") or "").strip()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{name}, item {number}: not a dialogue of AI Hub's form (profile.emotion.type, talk.content.HS01 …); "
            "download the file again or leave the item out."
        ) from error
    emotion = find_emotion(code)
    if emotion is None or emotion.code != code:
        raise UserError(f"{name}, item {number}: emotion code {code!r} is unknown; allowed are E10 to E69.")
    return {
        "대화번호": talk_id or f"{name}:{number}",
        "연령": next((_AGES[tag] for tag in human if tag in _AGES), ""),
        "성별": next((_GENDERS[tag] for tag in human if tag in _GENDERS), ""),
        "상황키워드": next((tag for tag in situation if tag.startswith("S")), ""),
        "감정_대분류": emotion.major,
        "감정_소분류": emotion.label,
        **turns,
    }
