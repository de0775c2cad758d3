"""The page of a study: what it says, that no sentence gets out of its place, and that it works in a browser."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from browser import CHROMIUM, Page, browser
from fontTools.ttLib import TTFont
from synthetic import EVIL, LABELS, write_run

from emo_hf.report.analysis import Analysis
from emo_hf.report.findings import findings_markdown
from emo_hf.report.page import write_page
from emo_hf.report.page_font import font_face
from emo_hf.report.plots import fonts
from emo_hf.report.sentences import Utterances, group_scores, runs_of, sentences


@pytest.fixture
def page(reported: tuple[Path, list[Path]]) -> str:
    """The page of the shared study."""
    return (reported[0] / "report.html").read_text(encoding="utf-8")


def seen(page: str) -> str:
    """What a reader sees of a page, in one line."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_stands_alone_and_says_what_was_found(reported: tuple[Path, list[Path]], page: str) -> None:
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page) and "@import" not in page
    plain = seen(page)
    found = [line[2:] for line in (reported[0] / "findings.md").read_text(encoding="utf-8").splitlines()]
    found = found[: found.index("")]
    assert len(found) == 2 + 3 + 3
    for line in found:
        question, numbers = line.replace("**", "").split(": ", 1)
        assert (
            f"{question} {numbers.replace(' points of macro-F1', '').replace('; this study', ' this study')}" in plain
        )
    places = re.findall(r'<figure style="--row: (\d); --column: (\d)"><figcaption><span>\S+ · Model (\d) ', page)
    assert places == 2 * [("1", "1", "1"), ("1", "2", "2"), ("2", "1", "5"), ("2", "2", "6")]
    assert "16 runs" in plain and "45 test sentences" in plain
    assert re.search(r"8\.[0-3] min of training", plain)  # 16 runs of 30 to 31 seconds
    assert page.count("data:image/png;base64,") == 8  # histories, confusion, calibration, risks of two encoders
    anchors = re.findall(r'href="#([^"]+)"', page)
    assert len(anchors) == 12 and all(f'id="{anchor}"' in page for anchor in anchors)


def test_the_effects_have_an_axis(page: str) -> None:
    texts = re.findall(r'<span style="left: ([\d.]+)%">([^<]+)</span>', page)
    places = [(float(place), float(text)) for place, text in texts]
    [zero] = {place for place, value in places if value == 0}
    assert zero == 50 and len({round((p - 50) / value, 2) for p, value in places if value}) <= 2 and len(places) >= 6
    scale = (places[-1][0] - 50) / places[-1][1]
    at = float(re.search(r'<line class="of-verdict" x1="(-?[\d.]+)" x2="\1" y1="4"', page).group(1))
    band = float(re.search(r'<rect x="-([\d.]+)" width="[\d.]+" y="0" height="22" class="band"', page).group(1))
    assert band / 2 == pytest.approx(scale, abs=0.02), "±1 point"
    estimate = float(re.search(r'<div class="value[^"]*">([+-][\d.]+) ', page).group(1))
    assert at / 2 == pytest.approx(scale * estimate, abs=0.06 * scale)


def test_the_font_in_the_page_holds_its_letters(page: str) -> None:
    encoded = re.search(r"data:font/woff;base64,([^\"]+)", page).group(1)
    font = TTFont(io.BytesIO(base64.b64decode(encoded)))
    hangul = {ord(letter) for letter in seen(page) if "가" <= letter <= "힣"}
    assert hangul and hangul <= set(font.getBestCmap()) and len(font.getBestCmap()) < 200
    assert "NHN" in font["name"].getDebugName(0) and "Nanum" not in font["name"].getDebugName(1)
    assert "SIL Open Font License" in page
    assert font_face(page) == font_face(page) and font_face("abc") == ""


def test_without_a_font_that_may_be_passed_on_the_page_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "PACKAGE", "no-such-font-package")
    monkeypatch.setattr(fonts, "hangul_font", lambda: "Malgun Gothic")
    assert font_face("한글") == ""


def test_a_korean_page_has_no_english_words(reported: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """But for what names models, people, packages and methods."""
    analysis = Analysis.read(reported[0])
    text = seen(write_page(analysis, tmp_path / "page.html", lang="ko").read_text(encoding="utf-8"))
    names = "klue bert base tiny roberta cls mean none triplet emo SNE IDF ECE Holm Sellam Northcutt"
    names += " Schuirmann Yaniv Wiener Geifman cpu bfloat document title taken script img src onerror CPU"
    assert set(re.findall(r"[A-Za-z]{3,}", text)) <= set(names.split())


def test_a_sentence_injects_no_markup(page: str) -> None:
    assert 'onerror="' not in page and "</script><script>document" not in page
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))
    assert data["text"][0] == EVIL and len(data["maps"]) == 8 and len(data["maps"][0]["x"]) == 45


def test_sentences_are_ranked_as_they_say() -> None:
    """Three runs over six rows; the last row looks like a label error, the first is the hardest."""
    true = np.array([0, 0, 1, 1, 2, 2])
    sure = np.full((6, 3), 0.05) + 0.85 * np.eye(3)[true]
    runs = np.stack([sure, sure, sure])
    runs[:, 5] = [0.9, 0.06, 0.04]
    runs[0, 0] = [0.1, 0.8, 0.1]  # one of three runs errs
    rows = Utterances([f"row {i}" for i in range(6)], true, {"situation": list("aabbcc")})
    of_runs = runs_of([{"logits": np.log(run)} for run in runs], rows, np.array([0, 0, 1]))
    found = sentences(rows, of_runs, LABELS)
    assert [line["row"] for line in found["hardest"]] == [5]
    assert found["hardest"][0]["probability"] == 4.0 and found["hardest"][0]["votes"] == [[LABELS[0], 100]]
    assert [line["row"] for line in found["disputed"]] == [0]
    assert [(line["row"], line["likely"]) for line in found["suspected"]] == [(5, LABELS[0])]
    scores = {line["value"]: line for line in group_scores(rows, of_runs)["situation"]}
    assert scores["a"]["mean"] == pytest.approx(500 / 6) and scores["a"]["low"] == pytest.approx(75)
    assert scores["a"]["high"] == 100 and scores["c"]["mean"] == 50


def test_without_sentences_and_with_one_seed_the_page_is_still_written(tmp_path: Path, caplog) -> None:
    write_run(tmp_path, aux="none")
    write_run(tmp_path, aux="triplet")
    analysis, path = Analysis.read(tmp_path), tmp_path / "report.html"
    page = write_page(analysis, path, lang="ko").read_text(encoding="utf-8")
    assert "시드가 여럿(셋 이상)" in page and "가장 어려운 문장" not in page
    lines = [line[2:] for line in findings_markdown(analysis, lang="ko").splitlines() if line.startswith("- ")]
    assert len(lines) == 2 and "답할 수 없음" in lines[0] and "McNemar" in lines[1]
    assert all(line in seen(page) for line in lines)
    (tmp_path / "test.json").write_text(json.dumps({"fingerprint": "other", "text": ["x"], "label": [0]}))
    assert "가장 어려운 문장" not in write_page(analysis, path, lang="ko").read_text(encoding="utf-8")
    assert "of other data" in caplog.text


def test_a_question_without_an_answer_stands_on_the_page(tmp_path: Path) -> None:
    for aux, seeds in (("none", (1, 2)), ("contrastive", (1, 2)), ("triplet", (1,))):
        for seed in seeds:
            write_run(tmp_path, aux=aux, seed=seed)
    plain = seen(write_page(Analysis.read(tmp_path), tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "Without an answer models over TF-IDF + logistic regression: no answer, because TF-IDF" in plain
    assert "triplet over none: no answer, because tiny-bert cls triplet has one seed" in plain


@pytest.fixture(scope="module")
def opened(reported: tuple[Path, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser that has no font with Hangul."""
    folder = tmp_path_factory.mktemp("browser")
    latin = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    config = folder / "fonts.conf"
    config.write_text(f"<fontconfig><dir>{latin}</dir><cachedir>{folder / 'cache'}</cachedir></fontconfig>")
    with browser(folder / "profile", FONTCONFIG_FILE=str(config)) as page:
        yield page


# Of the text of an element: its width, and that of the same text drawn by the font in the page alone.
WIDTHS = """(() => [...document.querySelectorAll("td.label, .controls label")].slice(0, 8).map((element) => {
  const range = document.createRange(), pen = document.createElement("canvas").getContext("2d");
  range.selectNodeContents(element.lastChild);
  const style = getComputedStyle(element);
  pen.font = `${style.fontWeight} ${style.fontSize} "emo_hf Hangul"`;
  return [range.getBoundingClientRect().width, pen.measureText(element.textContent.trim()).width];
}))()"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
@pytest.mark.parametrize("width", [1280, 390])
def test_it_sorts_filters_and_points_in_a_browser(reported: tuple[Path, list[Path]], opened: Page, width: int) -> None:
    finger = width < 600
    opened.size(width, 900)
    opened.call("Page.navigate", url=(reported[0] / "report.html").as_uri())
    opened.wait(f"document.readyState === 'complete' && document.fonts.status === 'loaded' && innerWidth <= {width}")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    if not finger:  # where there is room no column is off the screen, of a table that scrolls in itself either
        hidden = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"
        assert opened.evaluate(hidden) == 0
    for found, expected in opened.evaluate(WIDTHS):
        assert found == pytest.approx(expected, abs=1)
    head = "document.getElementById('performance').tHead.rows[0].cells"
    assert 0 < opened.evaluate(f"{head}[4].getBoundingClientRect().right") <= width, "macro-F1 is on the screen"
    for column, best_first in ((4, True), (9, False), (10, True), (4, True)):
        opened.evaluate(f"{head}[{column}].scrollIntoView({{block: 'center', inline: 'end'}})")
        numbers = []
        for _ in range(2):
            box = opened.evaluate(f"(b => [b.left, b.top])({head}[{column}].getBoundingClientRect())")
            opened.tap(box[0] + 3, box[1] + 3, finger=finger)  # the corner of the heading, not its word
            numbers.append(opened.evaluate(COLUMN.replace("COLUMN", str(column))))
        known = [number for number in numbers[0] if number is not None]
        assert known == sorted(known, reverse=best_first)
        assert [number for number in numbers[1] if number is not None] == known[::-1]
    check_the_map(opened, finger)
    assert opened.errors == [] and "taken" not in opened.evaluate("document.title")


COLUMN = """[...document.getElementById("performance").tBodies[0].rows].map(
  (row) => Number.isNaN(parseFloat(row.cells[COLUMN].textContent)) ? null : parseFloat(row.cells[COLUMN].textContent)
)"""
# Where a row of the test set lies on the first map, in the window.
PLACE = """(() => {
  const canvas = canvases[0], map = data.maps[0];
  canvas.scrollIntoView({block: "center"});
  const box = canvas.getBoundingClientRect(), [x, y] = place(canvas, map, map.row.indexOf(ROW));
  return [box.left + x * box.width / canvas.width, box.top + y * box.height / canvas.height];
})()"""


def check_the_map(page: Page, finger: bool) -> None:
    """Filters hide points; a mouse over a point, or a tap on it, shows its sentence until it goes elsewhere."""
    shown = "canvases[0].dataset.shown"
    assert page.evaluate(shown) == "45"
    page.evaluate("document.querySelector('.of-label').click()")
    assert page.evaluate(shown) == "30"
    page.evaluate("document.querySelector('.of-label').click()")
    page.evaluate("document.querySelector('input[value=mistakes]').click()")
    wrong = "String(data.maps[0].label.filter((label, i) => label !== data.maps[0].predicted[i]).length)"
    assert page.evaluate(shown) == page.evaluate(wrong)
    page.evaluate("document.querySelector('input[value=all]').click()")
    for row in range(0, 45, 9):
        x, y = page.evaluate(PLACE.replace("ROW", str(row)))
        time.sleep(0.1)  # a scroll that is under way hides what is shown
        page.tap(x, y, finger=finger)
        page.wait("!tip.hidden", 5)
        pointed = page.evaluate("pointed")
        assert page.evaluate("tip.firstChild.textContent") == page.evaluate(f"data.text[{pointed}]")
        assert "Label: " in page.evaluate("tip.textContent")
        left = page.evaluate("(b => [b.left, b.right])(tip.getBoundingClientRect())")
        assert left[0] >= 0 and left[1] <= page.evaluate("innerWidth")
    page.tap(3, 3, finger=finger)
    page.wait("tip.hidden && pointed === null", 5)
