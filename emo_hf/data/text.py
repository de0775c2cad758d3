"""What a text is to us: cleaned alike in training and in prediction, and compared by what can be seen of it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Blanks that Unicode counts among letters and signs: to a tokenizer they are part of a word, which is then unknown.
FILLERS = "\u115f\u1160\u3164\uffa0\u2800"  # of Hangul: initial, medial, its compatibility form, half width; Braille
# All that `str.isspace` knows, named one by one: `\s` means less to pyarrow's regular expressions than to Python's.
BLANKS = "\t\n\v\f\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
# Category Cf, which BERT's tokenizers drop: soft hyphen, zero-width blanks and joiners, marks of direction, tags.
FORMATS = (
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f"
)
# They choose between pictures of one character, and show nothing by themselves.
VARIANTS = "\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"

# A flag may end in a tag and a heart in a variant: these stay.
_EDGE = f"[{BLANKS}\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]+"
_EDGES = f"^{_EDGE}|{_EDGE}$"
_NOTHING = f"^[{BLANKS}{CONTROLS}{FORMATS}{VARIANTS}]+$"
_FILLER, _EDGES_OF_ONE, _NOTHING_OF_ONE = re.compile(f"[{FILLERS}]"), re.compile(_EDGES), re.compile(_NOTHING)

# What `astype(str)` makes of an empty cell of pandas, and a database's export of one; in lower case "none" may well be
# the name of a label.
MISSING = ("nan", "NaN", "None", "<NA>", "NaT", "\\N")


def clean(text: str) -> str:
    """The text as it is trained on and predicted: NFC, fillers as blanks, nothing invisible around it.

    Empty where nothing of it can be seen. What stands within stays as it is.
    """
    text = _EDGES_OF_ONE.sub("", _FILLER.sub(" ", unicodedata.normalize("NFC", text)))
    return _NOTHING_OF_ONE.sub("", text)


def clean_column(texts: pd.Series) -> pd.Series:
    """As `clean`, of a column of strings."""
    texts = texts.str.normalize("NFC").str.replace(f"[{FILLERS}]", " ", regex=True)
    texts = texts.str.replace(_EDGES, "", regex=True)
    return texts.str.replace(_NOTHING, "", regex=True)


def text_keys(texts: pd.Series) -> pd.Series:
    """Make texts equal that a tokenizer reads alike: they differ in blanks and in what can't be seen."""
    texts = texts.str.replace(f"[{CONTROLS}{FORMATS}{VARIANTS}]+", "", regex=True)
    return texts.str.replace(f"[{BLANKS}]+", " ", regex=True).str.strip(" ")
