"""The Korean letters of a page as a font inside it, for browsers without one."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection
from pathlib import Path

from emo_hf.report.plots.fonts import open_font

FAMILY = "emo_hf Hangul"
# Hangul and its letters, Hanja, and their punctuation; the rest is left to the fonts of the browser.
RANGES = ((0x1100, 0x11FF), (0x3000, 0x318F), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xFF00, 0xFFEF))
_KEPT_NAMES = [0, 13, 14]  # copyright, licence and its address; the licence reserves the font's own name


def font_face(text: str) -> str:
    """The `@font-face` rule of a font that holds the Korean letters of `text`; nothing where there is no such font."""
    letters = {code for code in map(ord, set(text)) if any(first <= code <= last for first, last in RANGES)}
    path = open_font()
    if path is None or not letters:
        return ""
    encoded = base64.b64encode(font_subset(path, letters)).decode("ascii")
    rules = {
        "font-family": f'"{FAMILY}"',
        "src": f'url("data:font/woff;base64,{encoded}") format("woff")',
        # Only with it, and first in the list of fonts, is Hangul that is drawn before the font is read drawn again.
        "unicode-range": ", ".join(f"U+{first:04X}-{last:04X}" for first, last in RANGES),
    }
    licence = f"/* a part of {path.stem}, under the SIL Open Font License 1.1, https://openfontlicense.org */"
    return f"{licence}\n@font-face {{ {' '.join(f'{name}: {value};' for name, value in rules.items())} }}"


def font_subset(path: Path, letters: Collection[int]) -> bytes:
    """The font file with some code points alone, as WOFF 1: WOFF 2 would need one more package."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    options = Options(
        name_IDs=_KEPT_NAMES, name_languages=[0x409], layout_features=[], hinting=False, glyph_names=False,
        notdef_outline=True,
    )  # fmt: skip
    with TTFont(path, fontNumber=0, lazy=True, recalcTimestamp=False) as font:
        tags = font.keys()
        options.drop_tables += [tag for tag in tags if tag.startswith("TSI")]  # sources of the hinting
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=sorted(letters))
        subsetter.subset(font)
        for number in (1, 4, 6):
            font["name"].setName(FAMILY.replace(" ", "-") if number == 6 else FAMILY, number, 3, 1, 0x409)
        font.flavor = "woff"
        buffer = io.BytesIO()
        font.save(buffer)
    return buffer.getvalue()
