"""The page of a study: what it says, that no sentence gets out of its place, and that it works in a browser."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from synthetic import LABELS, write_run

from emo_hf.report.analysis import Analysis
from emo_hf.report.page import write_page
from emo_hf.report.report import write_report
from emo_hf.report.sentences import Runs, Utterances, group_scores, sentences

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & {{ 7 * 7 }}"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def write_study_with_sentences(folder: Path, rows: int = 45) -> None:
    for aux, seed in itertools.product(["none", "triplet"], (1, 2)):
        write_run(folder, aux=aux, seed=seed, rows=rows, correct=0.95 if aux == "triplet" else 0.6)
    write_run(folder, baseline="majority class", rows=rows, correct=0.3)
    content = {
        "fingerprint": "f",
        "text": [EVIL, *(f"문장 {i}" for i in range(1, rows))],
        "label": [i % 3 for i in range(rows)],
        "situation": ["학업" if i % 2 else "건강" for i in range(rows)],
    }
    (folder / "test.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_study_with_sentences(folder)
    write_report(folder)
    return folder


def test_the_page_stands_alone_and_says_what_was_found(study: Path) -> None:
    page = (study / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:)""", page) and "@import" not in page
    plain = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for line in (study / "findings.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("- "):
            assert line[2:] in plain
    assert "5 runs" not in plain and "4 runs" in plain and "45 test sentences" in plain
    assert page.count("data:image/png;base64,") == 3  # histories, confusion, calibration


def test_a_sentence_injects_no_markup(study: Path) -> None:
    page = (study / "report.html").read_text(encoding="utf-8")
    assert 'onerror="' not in page and "</script><script>document" not in page
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))
    assert data["text"][0] == EVIL and len(data["maps"]) == 2 and len(data["maps"][0]["x"]) == 45


def test_sentences_are_ranked_as_they_say() -> None:
    """Three runs over six rows; the last row looks like a label error, the first is the hardest."""
    true = np.array([0, 0, 1, 1, 2, 2])
    sure = np.full((6, 3), 0.05) + 0.85 * np.eye(3)[true]
    runs = np.stack([sure, sure, sure])
    runs[:, 5] = [0.9, 0.06, 0.04]
    runs[0, 0] = [0.1, 0.8, 0.1]  # one of three runs errs
    rows = Utterances([f"row {i}" for i in range(6)], true, {"situation": list("aabbcc")})
    found = sentences(rows, Runs(runs, np.array([0, 0, 1])), LABELS)
    assert [line["row"] for line in found["hardest"]] == [5]
    assert found["hardest"][0]["probability"] == 4.0 and found["hardest"][0]["votes"] == [[LABELS[0], 100]]
    assert [line["row"] for line in found["disputed"]] == [0]
    assert [(line["row"], line["likely"]) for line in found["suspected"]] == [(5, LABELS[0])]
    scores = {line["value"]: line for line in group_scores(rows, Runs(runs, np.array([0, 0, 1])))["situation"]}
    assert scores["a"]["mean"] == pytest.approx(500 / 6) and scores["a"]["low"] == pytest.approx(75)
    assert scores["a"]["high"] == 100 and scores["c"]["mean"] == 50


def test_without_sentences_and_with_one_seed_the_page_is_still_written(tmp_path: Path, caplog) -> None:
    write_run(tmp_path, aux="none")
    write_run(tmp_path, aux="triplet")
    analysis, path = Analysis.read(tmp_path), tmp_path / "report.html"
    page = write_page(analysis, path, lang="ko").read_text(encoding="utf-8")
    assert "시드가 둘 이상" in page and "가장 어려운 문장" not in page
    (tmp_path / "test.json").write_text(json.dumps({"fingerprint": "other", "text": ["x"], "label": [0]}))
    assert "가장 어려운 문장" not in write_page(analysis, path, lang="ko").read_text(encoding="utf-8")
    assert "of other data" in caplog.text


HARNESS = """
<script>
const out = {errors: []};
window.addEventListener("error", (event) => out.errors.push(String(event.message)));
window.addEventListener("load", () => {
  const table = document.getElementById("performance");
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[5].textContent);
  const button = table.tHead.rows[0].cells[5].querySelector("button");
  button.click(); out.down = column();
  button.click(); out.up = column();
  const canvas = canvases[0], map = data.maps[0];
  out.all = canvas.dataset.shown;
  document.querySelector(".of-label").click();
  out.without = canvas.dataset.shown;
  document.querySelector(".of-label").click();
  document.querySelector("input[value=mistakes]").click();
  out.mistakes = canvas.dataset.shown;
  out.wrong = map.label.filter((label, i) => label !== map.predicted[i]).length;
  document.querySelector("input[value=all]").click();
  const box = canvas.getBoundingClientRect(), [x, y] = place(canvas, map, map.row.indexOf(0));
  const at = {clientX: box.left + x * box.width / canvas.width, clientY: box.top + y * box.height / canvas.height};
  canvas.dispatchEvent(new PointerEvent("pointermove", at));
  out.tip = tip.hidden ? null : tip.textContent;
  out.pointed = pointed;
  canvas.dispatchEvent(new PointerEvent("pointerleave"));
  out.left = tip.hidden;
  document.querySelectorAll("button.more").forEach((more) => more.click());
  out.title = document.title;
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(out);
  document.body.append(result);
});
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
def test_it_sorts_filters_and_points_in_a_browser(study: Path, tmp_path: Path) -> None:
    page = (study / "report.html").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(page.replace("</body>", HARNESS + "</body>"), encoding="utf-8")
    switches = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    done = subprocess.run(
        [CHROMIUM, *switches.split(), f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900",
         "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    out = json.loads(html.unescape(re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL).group(1)))
    assert out["errors"] == [] and "taken" not in out["title"]
    numbers = [float(re.match(r"[\d.]+", cell).group()) for cell in out["down"]]
    assert numbers == sorted(numbers, reverse=True) and out["up"] == out["down"][::-1]
    assert out["all"] == "45" and out["without"] == "30" and out["mistakes"] == str(out["wrong"])
    assert out["pointed"] is not None and out["left"] is True and "Label: " in out["tip"]
    assert out["pointed"] != 0 or out["tip"].startswith(EVIL)
