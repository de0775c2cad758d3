"""A font that can draw Hangul, or names that do without it."""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

logger = logging.getLogger(__name__)

OPEN_FAMILIES = (  # under the SIL Open Font License: a part of them may travel inside a page
    "NanumGothic",
    "Nanum Gothic",
    "NanumBarunGothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Noto Sans CJK JP",  # the collection file registers under its first face; all faces hold Hangul
    "Source Han Sans KR",
    "Source Han Sans K",
    "Pretendard",
)
FAMILIES = (
    *OPEN_FAMILIES,
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
    "Baekmuk Gulim",
    "Baekmuk Dotum",
)
LATIN = "DejaVu Sans"  # carried by matplotlib itself
PACKAGE = "koreanize-matplotlib"  # carries NanumGothic (SIL Open Font License)

ENGLISH = {
    "불안": "Anxiety",
    "슬픔": "Sadness",
    "기쁨": "Joy",
    "분노": "Anger",
    "상처": "Hurt",
    "당황": "Embarrassment",
}


@cache
def hangul_font() -> str | None:
    """The family of a font with Hangul: an installed one, else the package's; None, and one warning, without any."""
    installed = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    for family in FAMILIES:
        if family in installed and "가" in _characters(installed[family]):
            return family
    carried = _carried_font()
    if carried is not None:
        font_manager.fontManager.addfont(carried)
        return font_manager.FontProperties(fname=carried).get_name()
    logger.warning("no font with Hangul found, so pictures use English names; to mend it: pip install %s", PACKAGE)
    return None


def open_font() -> Path | None:
    """The file of a font with Hangul that may be passed on: the package's, else an installed one; None without any."""
    if (carried := _carried_font()) is not None:
        return carried
    family = hangul_font()
    return Path(_file(family)) if family in OPEN_FAMILIES else None


def text_settings() -> dict[str, Any]:
    """Settings for `matplotlib.rc_context` under which every text of a picture is drawn."""
    hangul = hangul_font()
    return {
        "font.family": [hangul, LATIN] if hangul else [LATIN],
        "text.parse_math": False,  # a "$" in a label is a dollar sign
        "axes.unicode_minus": False,
    }


def drawable(text: str) -> bool:
    """Whether the fonts of `text_settings` hold every character of `text`."""
    return set(text) <= frozenset().union(*(_characters(_file(family)) for family in text_settings()["font.family"]))


def drawable_labels(labels: list[str], word: str = "class") -> list[str]:
    """Class names as pictures can show them: themselves, else English, else numbered ("class 2")."""
    return [
        label if drawable(label) else ENGLISH.get(label, f"{word} {position}")
        for position, label in enumerate(labels, start=1)
    ]


def _carried_font() -> Path | None:
    # Importing the package would change matplotlib's settings for the whole process; its file is enough.
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "fonts" / "NanumGothic.ttf"
        if path.is_file():
            return path
    return None


def _file(family: str) -> str:
    return font_manager.findfont(font_manager.FontProperties(family=family))


@cache
def _characters(path: str) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(path).get_charmap()))
