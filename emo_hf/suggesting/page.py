"""The page on which a person labels the picked rows: one file that needs neither network nor other files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from emo_hf.escaping import script_json
from emo_hf.report.page_font import font_face
from emo_hf.suggesting.page_words import LABELLING_WORDS


def page_key(texts: Sequence[str], labels: Sequence[str], *, several: bool) -> str:
    """What a browser keeps the labels of these texts under: other texts or labels have another key."""
    content = json.dumps([list(texts), list(labels), several], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def saved_name(key: str) -> str:
    """The name of the CSV that the page with a key saves."""
    return f"labelled_{key[:8]}.csv"


def labelling_page(
    texts: Sequence[str],
    predictions: Sequence[Sequence[str]],
    labels: Sequence[str],
    key: str,
    *,
    several: bool,
    columns: tuple[str, str],
    lang: str,
) -> str:
    """The page as HTML.

    What is typed is kept in the browser at once, under the page's key. The CSV that it saves has the labelled rows
    alone, in two columns; where a row may have several labels, they stand in a JSON list, `[]` for none of them. Texts
    stand in it unchanged, as they are to be trained on.

    Args:
        texts: of the rows (K,).
        predictions: the labels that the model gives each of them (K,).
        labels: of the model, in the order of their numbers.
        key: as `page_key` makes it.
        several: whether a row may have several labels.
        columns: names of text and label in the CSV.
        lang: "en" or "ko".
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("emo_hf.suggesting", "templates"), autoescape=True)
    environment.filters["json"] = script_json
    words = LABELLING_WORDS[lang]
    data = {
        "key": key,
        "labels": list(labels),
        "several": several,
        "columns": list(columns),
        "texts": list(texts),
        "says": list(map(list, predictions)),
        "file": saved_name(key),
        "words": words,
    }
    shown = {"words": words, "lang": lang, "data": data, "several": several, "many": len(labels) > 9}
    template = environment.get_template("labelling.html")
    # The letters of the page as a browser draws them, not as the JSON inside it escapes them.
    return template.render(font=Markup(font_face(json.dumps(data, ensure_ascii=False))), **shown)
