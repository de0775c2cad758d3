"""Which split a name says: of a file, folder or sheet, of a split on the Hub, or in a cell."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

SPLITS = ("train", "validation", "test")
ALLOWED = "train (training, 학습, 훈련), validation (valid, val, dev, eval, 검증), test (평가, 시험)"
_LATIN = {
    "train": "training|train",
    "validation": "validation|valid|val|development|dev|evaluation|eval",
    "test": "testing|test",
}
# Words that Korean writes without a blank before them: 감정학습데이터 is training, 강의평가 and 학습자 are no splits.
_TAIL = "(?:용|셋|세트|집합|자료|말뭉치|데이터)"
_HANGUL = {
    "train": f"학습(?={_TAIL})|훈련(?={_TAIL})|(?<![가-힣])(?:학습|훈련|트레이닝|트레인)(?![가-힣])",
    "validation": f"검증(?={_TAIL})|(?<![가-힣])검증(?![가-힣])",
    "test": f"(?<![가-힣])(?:평가|시험|테스트)(?:(?={_TAIL})|(?![가-힣]))",
}
_WORDS = {
    split: re.compile(f"(?P<latin>{_LATIN[split]})(?P<tail>sets?|data)?|{_HANGUL[split]}", re.IGNORECASE)
    for split in SPLITS
}
# What people keep beside their data: `test_predictions.csv`, and of words that data may be about, `training_log.csv`.
_MADE = re.compile("pred(iction)?s?|submissions?|metrics|readme|license|예측|예측결과|제출")
_MADE_AFTER = re.compile(
    "logs?|history|loss|scores?|results?|report|stats|summary|config|args|arguments|outputs?|info|state|로그|결과|보고서"
)


def split_of(name: str) -> str | None:
    """Which of `SPLITS` a name says, in a word that non-letters, or a change of case or script, bound.

    None where no word does, as in `contest` and `latest`; where two do that differ, as in `train_test`; and where
    the name is that of something about a split, as `training_log`.
    """
    return found[0] if len(found := splits_of(name)) == 1 else None


def splits_of(name: str) -> list[str]:
    """All splits that a name says."""
    name = unicodedata.normalize("NFC", name)
    found = _found(name)
    if not found or _is_made(name, found):
        return []
    return [split for split in SPLITS if any(split == one for one, _, _ in found)]


def split_of_path(path: str) -> str | None:
    """Which split a path with `/` says: the innermost of its names that says any."""
    inner, *outer = reversed(unicodedata.normalize("NFC", path).split("/"))
    for name in (stem_of(inner), *outer):
        if found := _found(name):
            return None if _is_made(name, found) or len({split for split, _, _ in found}) > 1 else found[0][0]
    return None


def without_split(name: str) -> str:
    """The words of a name without those that say its split; what is left tells the files of one split apart."""
    name = unicodedata.normalize("NFC", name)
    for _, start, end in sorted(_found(name), key=lambda found: -found[1]):
        name = f"{name[:start]} {name[end:]}"
    return " ".join(words_of(name))


def words_of(name: str) -> list[str]:
    """The words and numbers of a name, in lower case: EmotionTest_2020 is emotion, test, 2020."""
    parts = re.findall(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+", unicodedata.normalize("NFC", name))
    return [part.lower() for part in parts]


def stem_of(file: str) -> str:
    """The name of a file without its suffix, and without the number of a shard: `train-00000-of-00002.parquet`."""
    return re.sub(r"-\d{5}-of-\d{5}(-[0-9a-f]{16})?$", "", PurePosixPath(file).stem)


def _found(name: str) -> list[tuple[str, int, int]]:
    """Each word that says a split, with the places where it begins and ends."""
    found = []
    for split, pattern in _WORDS.items():
        for match in pattern.finditer(name):
            if match["latin"] is None or _stands_alone(name, *match.span()):  # of Hangul, the pattern has the bounds
                found.append((split, *match.span()))
            elif _stands_alone(name, *match.span("latin")):  # testDataframe
                found.append((split, *match.span("latin")))
    return found


def _is_made(name: str, found: list[tuple[str, int, int]]) -> bool:
    after = words_of(name[min(end for _, _, end in found) :])
    return any(map(_MADE.fullmatch, words_of(name))) or any(map(_MADE_AFTER.fullmatch, after))


def _stands_alone(name: str, start: int, end: int) -> bool:
    before, word, after = name[:start], name[start:end], name[end:]
    return _begins(before, word) and _ends(word, after)


def _begins(before: str, word: str) -> bool:
    if not before or not _is_latin(before[-1]):
        return True
    if word[0].isupper():  # CorpusTest, corpusTEST, NLPTest
        return before[-1].islower() or word[1:].islower()
    return word.islower() and len(before) > 1 and before[-2:].isalpha() and before[-2:].isupper()  # KOREANtest


def _ends(word: str, after: str) -> bool:
    if not after or not _is_latin(after[0]):
        return True
    return word[-1].islower() if after[0].isupper() else word.isupper()  # testSet, TESTcorpus


def _is_latin(character: str) -> bool:
    return character.isalpha() and unicodedata.name(character, "").startswith("LATIN")
