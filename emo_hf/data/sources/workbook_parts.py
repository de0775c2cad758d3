"""What the parts of an XLSX file say: its sheets, its strings, and which of its numbers are dates."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import IO
from xml.etree import ElementTree

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


@dataclass(frozen=True)
class Sheet:
    """A sheet of a workbook: its title, the part that holds its cells, and whether it is hidden."""

    title: str
    part: str
    hidden: bool


class Parts:
    """The parts of a workbook.

    openpyxl reads sheets row by row too, but tells neither merged cells nor formulas without a result then, and it
    takes `_x005F_` out of strings, so that what stands behind it can't be unescaped any more.

    Attributes:
        sheets: of cells, in order; charts are none.
        strings: those that cells share.
        uncalculated: whether the file asks for its formulas to be calculated, as programs write it that can't.
    """

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self._names = {name.replace("\\", "/").lower(): name for name in archive.namelist()}
        main = next((part for kind, part in self._related("").values() if kind == "officeDocument"), "xl/workbook.xml")
        related = self._related(main)
        book = self._tree(main)
        self.sheets = [
            Sheet(node.get("name", ""), related[key][1], node.get("state", "visible") != "visible")
            for node in _inside(book, "sheets")
            if (key := _attribute(node, "id")) in related and related[key][0] == "worksheet"
        ]
        self.sheets = [sheet for sheet in self.sheets if sheet.part.lower() in self._names]
        self.uncalculated = any(_yes(node.get("fullCalcOnLoad")) for node in book if _local(node) == "calcPr")
        self._from_1904 = any(_yes(node.get("date1904")) for node in book if _local(node) == "workbookPr")
        parts = {kind: part for kind, part in related.values() if part.lower() in self._names}
        self.strings = list(self._strings(parts["sharedStrings"])) if "sharedStrings" in parts else []
        self._formats = self._dates(parts["styles"]) if "styles" in parts else {}

    def open(self, part: str) -> IO[bytes]:
        """The bytes of a part as a stream."""
        return self._archive.open(self._names[part.lower()])

    def is_date(self, style: str | None) -> bool:
        """Whether cells of this style show their numbers as dates or times."""
        return style in self._formats

    def date(self, value: str, style: str) -> str:
        """The day, the time, or both, that a number stands for: 2020-01-31, 2020-01-31 12:30:00."""
        from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel  # as below

        epoch = CALENDAR_MAC_1904 if self._from_1904 else CALENDAR_WINDOWS_1900
        try:
            found: datetime | time | timedelta = from_excel(
                float(value), epoch, timedelta=self._formats[style] == "timedelta"
            )
        except (OverflowError, ValueError):
            return value
        if isinstance(found, datetime) and found.time() == time():
            return found.date().isoformat()
        return str(found)

    def _tree(self, part: str) -> ElementTree.Element:
        with self.open(part) as source:
            return ElementTree.parse(source).getroot()

    def _related(self, part: str) -> dict[str, tuple[str, str]]:
        """The last word of the kind of each part that a part names, and where it is, by its id."""
        folder, _, name = part.rpartition("/")
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels.lower() not in self._names:
            return {}
        return {
            node.get("Id", ""): (
                node.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, node.get("Target", ""))).lstrip("/"),
            )
            for node in self._tree(rels)
            if node.get("TargetMode") != "External"
        }

    def _strings(self, part: str) -> Iterator[str]:
        with self.open(part) as source:
            for _, node in ElementTree.iterparse(source):
                if node.tag.endswith("}si"):
                    yield string_of(node)
                    node.clear()

    def _dates(self, part: str) -> dict[str, str]:
        from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format  # takes a while

        styles = self._tree(part)
        codes = {**BUILTIN_FORMATS}
        codes |= {int(node.get("numFmtId", "0")): node.get("formatCode", "") for node in _inside(styles, "numFmts")}
        found = {}
        for place, node in enumerate(_inside(styles, "cellXfs")):
            code = codes.get(int(node.get("numFmtId", "0")), "")
            if is_date_format(code):
                found[str(place)] = "timedelta" if is_timedelta_format(code) else "date"
        return found


def string_of(node: ElementTree.Element) -> str:
    """The text of a string, of whose parts each may have a font; how it is pronounced is no part of it."""
    texts = []
    for child in node:
        if child.tag.endswith("}t"):
            texts.append(unescaped(child.text or ""))
        elif child.tag.endswith("}r"):
            texts += [unescaped(part.text or "") for part in child if part.tag.endswith("}t")]
    return "".join(texts)


def unescaped(text: str) -> str:
    """A text with the characters that XML can't hold, as `_x000D_` stands for; halves of a pair stay as they are."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)


def _local(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _inside(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [node for child in tree if _local(child) == name for node in child]


def _attribute(node: ElementTree.Element, name: str) -> str:
    """An attribute of another namespace, as r:id, which the strict form of the format gives another address."""
    return next((value for key, value in node.attrib.items() if key.endswith("}" + name)), "")


def _yes(value: str | None) -> bool:
    return value in ("1", "true")
