"""All that is written about a study of transfer: tables, pictures, and one page to open."""

from __future__ import annotations

import base64
from pathlib import Path

from emo_hf.errors import UserError
from emo_hf.report.analysis import EQUAL_WITHIN
from emo_hf.report.page_font import font_face
from emo_hf.report.plots.transfer import draw_curves, draw_heat_map
from emo_hf.report.transfer import TransferAnalysis
from emo_hf.report.transfer_tables import Style, about, tables, write_transfer_csv, write_transfer_markdown
from emo_hf.report.transfer_words import TRANSFER_WORDS
from emo_hf.report.wording import LANGUAGES
from emo_hf.storage.files import write_whole

HEAT_MAP, CURVES = "transfer.png", "transfer_rows.png"


def write_transfer_report(
    study_dir: Path | str, *, lang: str = "en", equal_within: float = EQUAL_WITHIN
) -> list[Path]:
    """Write `transfer.md`, `.csv`, `.png` (heat map), `_rows.png` (curves, if there are any) and `.html`.

    Raises:
        UserError: an unknown language, a folder without such a study, or `equal_within` not above 0.
    """
    if lang not in LANGUAGES:
        raise UserError(f"lang is {lang!r}; allowed are {', '.join(LANGUAGES)}")
    analysis = TransferAnalysis.read(study_dir, equal_within=equal_within)
    folder = analysis.folder
    paths = [
        write_transfer_markdown(analysis, folder / "transfer.md", lang=lang),
        write_transfer_csv(analysis, folder / "transfer.csv"),
        draw_heat_map(analysis, folder / HEAT_MAP, lang=lang),
    ]
    if analysis.rows:
        paths.append(draw_curves(analysis, folder / CURVES, lang=lang))
    paths.append(write_transfer_page(analysis, folder / "transfer.html", lang=lang))
    return paths


def write_transfer_page(analysis: TransferAnalysis, path: Path, *, lang: str = "en") -> Path:
    """Write a page with tables and pictures that needs neither network nor other files, and return its path."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("emo_hf.report", "templates"), autoescape=True)
    words = TRANSFER_WORDS[lang]
    pictures = {words["matrix"]: HEAT_MAP, words["curves"]: CURVES}
    sections = [
        {"table": table, "picture": _picture(analysis.folder / pictures[table.title])}
        if table.title in pictures
        else {"table": table, "picture": None}
        for table in tables(analysis, Style(lang, newline="\n"))
    ]
    shown = {
        "words": words,
        "lang": lang,
        "about": about(analysis, lang),
        "sections": sections,
        "labels": analysis.told["labels"],
    }
    template = environment.get_template("transfer.html")
    page = template.render(font=Markup(font_face(template.render(font="", **shown))), **shown)
    return write_whole(path, page.encode("utf-8"))


def _picture(path: Path) -> str | None:
    return base64.b64encode(path.read_bytes()).decode("ascii") if path.exists() else None
