"""Names and sentences of others as a part of Markdown, LaTeX, CSV, scripts and commands, where they stay text."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\r")
_HARMLESS = re.compile(r"[+-]?(\d[\d,]*(\.\d*)?|[.,]\d+)([eE][+-]?\d+)?%?|-")


def markdown_name(name: str) -> str:
    """A name that can not break the table or turn into markup."""
    name = " ".join(name.split()).replace("&", "&amp;").replace("<", "&lt;")
    for sign in "\\|*`[]~$":
        name = name.replace(sign, f"\\{sign}")
    # Inside a word an underscore is an underscore; `://` and `www.` would become links of their own.
    name = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", name)
    return re.sub(r"(?i)(?<=\w):(?=//)", "&#58;", re.sub(r"(?i)\bwww\.", "www&#46;", name))


def latex_name(name: str) -> str:
    """A name in which LaTeX reads no command."""
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    signs |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(signs.get(letter, letter) for letter in " ".join(name.split()))


def csv_name(name: str | None) -> str:
    """A name that a spreadsheet takes as text, never as a formula; a number stays one."""
    # A carriage return would end a row: `csv` quotes only the end of a line that it writes itself.
    return csv_cell(re.sub(r"\r\n?", "\n", name or ""))


def csv_cell(text: str) -> str:
    """Any text as a cell that a spreadsheet takes as text; numbers and a dash, as tables have for nothing, stay."""
    if not text.lstrip().startswith(_FORMULA[:4]) and not text.startswith(_FORMULA):
        return text
    return text if _HARMLESS.fullmatch(text) else f"'{text}"


def script_json(value: Any) -> Any:
    """JSON that may stand in a script element of a page: no `<`, so nothing in it ends the element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def shell_word(word: str) -> str:
    """A word of a command; letters of any alphabet stay as they are, which `shlex.quote` would put in quotes."""
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word) else shlex.quote(word)


def hub_id(name: Any) -> str | None:
    """`name` if it is a Hub id and no path."""
    text = str(name)
    is_path = text.startswith((".", "/", "~")) or "\\" in text or len(text.split()) > 1 or Path(text).exists()
    return text if text.count("/") == 1 and not is_path and all(text.split("/")) else None
