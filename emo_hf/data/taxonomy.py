"""AI Hub's emotions: 6 major classes, 60 codes, and what the user's `labels` mean in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

from emo_hf.errors import UserError

Level = Literal["major", "sub", "plain"]

DEFAULT_LABELS = ("불안", "슬픔", "기쁨")

# In the order of the codes: the tens digit is the major class, the units digit counts its sub-emotions from 1, and
# the unit 0 stands for the major class itself.
_SUB_EMOTIONS_OF = {
    "분노": "툴툴대는 좌절한 짜증내는 방어적인 악의적인 안달하는 구역질_나는 노여워하는 성가신",
    "슬픔": "실망한 비통한 후회되는 우울한 마비된 염세적인 눈물이_나는 낙담한 환멸을_느끼는",
    "불안": "두려운 스트레스_받는 취약한 혼란스러운 당혹스러운 회의적인 걱정스러운 조심스러운 초조한",
    "상처": "질투하는 배신당한 고립된 충격_받은 가난한·불우한 희생된 억울한 괴로워하는 버려진",
    "당황": "고립된 남의_시선을_의식하는 외로운 열등감 죄책감의 부끄러운 혐오스러운 한심한 혼란스러운",
    "기쁨": "감사하는 신뢰하는 편안한 만족스러운 흥분 느긋 안도 신이_난 자신하는",
}


class Emotion(NamedTuple):
    """One of the 60 codes; `label` is its name as a class label, unique among the 60."""

    code: str
    major: str
    sub: str
    label: str


@cache
def emotions() -> tuple[Emotion, ...]:
    """Return the 60 emotions in the order of their codes."""
    rows = []
    for tens, (major, names) in enumerate(_SUB_EMOTIONS_OF.items(), start=1):
        subs = [major, *(name.replace("_", " ") for name in names.split())]
        rows += [(f"E{tens}{unit}", major, sub) for unit, sub in enumerate(subs)]
    all_subs = [sub for _, _, sub in rows]
    # 고립된 and 혼란스러운 stand under two major classes: only there the label needs the class's name.
    return tuple(
        Emotion(code, major, sub, sub if all_subs.count(sub) == 1 else f"{sub}({major})") for code, major, sub in rows
    )


MAJOR_EMOTIONS: tuple[str, ...] = tuple(_SUB_EMOTIONS_OF)
SUB_EMOTIONS: tuple[str, ...] = tuple(emotion.label for emotion in emotions())


@cache
def _by_name() -> dict[str, Emotion]:
    """Every code and unambiguous name, spaces removed, to its emotion."""
    found: dict[str, Emotion] = {}
    for emotion in emotions():
        # AI Hub's own table writes the second of each pair as 고립된(당황한), 혼란스러운(당황한).
        names = [emotion.code, emotion.label] + ([f"{emotion.sub}(당황한)"] if emotion.major == "당황" else [])
        found |= {_squeeze(name): emotion for name in names}
    return found


@cache
def _by_pair() -> dict[tuple[str, str], Emotion]:
    return {(emotion.major, _squeeze(emotion.sub)): emotion for emotion in emotions()}


def _squeeze(name: str) -> str:
    """Make spellings of one name equal: AI Hub writes 가난한, 불우한 with a comma and spaces at will."""
    return "".join(name.split()).replace(",", "·").upper()


def find_emotion(name: str, major: str = "") -> Emotion | None:
    """Find an emotion by code or name; `major` decides between names that stand under two major classes."""
    return _by_pair().get((major, _squeeze(name))) or _by_name().get(_squeeze(name))


def resolve_labels(labels: str | Sequence[str]) -> tuple[str, ...] | None:
    """Turn the user's `labels` into label names in their order; None means every label of the training split.

    `labels` is "six", "sixty", "all", a name, names joined by commas, or a list of names. AI Hub's codes and
    spellings become its label names; other names are kept as they are.

    Raises:
        UserError: fewer than two labels, or the same label twice.
    """
    if isinstance(labels, str):
        special = {"six": MAJOR_EMOTIONS, "sixty": SUB_EMOTIONS, "all": None}
        if labels.strip() in special:
            return special[labels.strip()]
        labels = labels.split(",")
    names = [unicodedata.normalize("NFC", str(label)).strip() for label in labels]
    names = [name if name in MAJOR_EMOTIONS else _label_of(name) for name in names]
    if len(names) < 2 or "" in names:
        raise UserError(
            f"labels names {', '.join(names) or 'nothing'}: at least two are needed; name some of "
            f"{' '.join(MAJOR_EMOTIONS)}, or 'six', 'sixty', 'all', or the labels of your own data."
        )
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise UserError(f"labels names {', '.join(doubles)} more than once; name every label once.")
    return tuple(names)


def _label_of(name: str) -> str:
    emotion = find_emotion(name)
    return emotion.label if emotion else name


def level_of(labels: Sequence[str]) -> Level:
    """Say what `labels` are: major classes only, AI Hub's sub-emotions, or names of the user's own."""
    if all(label in MAJOR_EMOTIONS for label in labels):
        return "major"
    return "sub" if all(label in SUB_EMOTIONS for label in labels) else "plain"
