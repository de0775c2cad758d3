"""The demo of a model that gives several labels a row: all of them with their thresholds, and neighbours with sets."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from browser import CHROMIUM, browser
from demo_app import ROOT, load_recipe, served

from emo_hf import Predictor
from emo_hf.inference import neighbours
from emo_hf.inference.demo import COLOURS, NEAREST, OTHERS, Demo
from emo_hf.inference.neighbours import NO_LABEL, Neighbours, stratified
from emo_hf.storage.record import read_record

SENTENCE = "어제 집에서 웃었어 신났어"


@pytest.fixture(scope="module")
def demo(trained_sets) -> Demo:
    predictor = Predictor(trained_sets)
    train = neighbours.training_data(read_record(trained_sets)).splits["train"]
    return Demo(predictor, Neighbours.embedded(predictor, train["text"][:], [[], *train["label"][1:]]))


def text_of(html: str) -> str:
    return re.sub(r"<.*?>", "", html)


def test_all_labels_stand_there_and_those_that_reach_their_thresholds_first(demo) -> None:
    predictor = demo.predictor
    bars, _, _ = demo.answer(SENTENCE)
    [scores] = predictor.probabilities([SENTENCE]).tolist()
    named = predictor.named(scores)
    assert 1 < len(named) < 12
    entries = re.findall(r"<li(.*?)><span>(.*?)</span><b title=\"(.*?)\">(.*?)</b>(.*?)</li>", bars)
    assert [name for _, name, *_ in entries[: len(named)]] == named
    assert {name for _, name, *_ in entries} == set(predictor.labels)
    for kind, name, title, said, bar in entries:
        place = predictor.labels.index(name)
        score, least = scores[place], predictor.thresholds[place]
        assert ("reached" in kind, "✓" in said) == (score >= least, score >= least)
        assert said.endswith(f"{score:.0%}") and title == f"threshold {least:.0%}"
        assert f'style="width:{score:.1%}"' in bar and f'style="left:{least:.1%}"' in bar
    assert f"<h2>{', '.join(named)}</h2>" in bars
    assert demo.answer(" ")[0] is None


def test_no_label_reaches_its_threshold(demo) -> None:
    bars = demo.bars([0.3] * 12, [0.9] * 12)
    assert "<h2>no label</h2>" in bars and "reached" not in bars and bars.count("<li>") == 12
    korean = Demo(demo.predictor, demo.neighbours, lang="ko").bars([0.3] * 12, [0.9] * 12)
    assert "<h2>감정 없음</h2>" in korean and "기준 90%" in korean and "no label" not in korean


def test_neighbours_show_their_sets_and_the_map_the_likeliest_of_each(demo) -> None:
    near, names = demo.neighbours, demo.predictor.labels
    scores = demo.predictor.probabilities(near.texts).numpy()
    assert near.labels[0] == NO_LABEL and near.sets[0] == []
    for row in range(1, len(near.texts)):
        assert near.labels[row] == max(near.sets[row], key=lambda label: scores[row, label])
    _, table, picture = demo.answer(near.texts[0])
    cells = [text_of(cell) for cell in re.findall(r'<td class="labels?">(.*?)</td>', table)]
    nearest = near.nearest(near.embeddings[0], NEAREST)
    assert cells == [", ".join(names[label] for label in near.sets[row]) or "no label" for row, _ in nearest]
    assert cells[0] == "no label" and any(", " in cell for cell in cells)
    own = [int(scores[0].argmax()), *(near.labels[row] for row, _ in nearest if near.labels[row] != NO_LABEL)]
    colours = dict(zip(dict.fromkeys(own), COLOURS, strict=False))
    drawn = re.findall(r'<circle [^>]* r="6" fill="(.*?)">', picture)
    assert drawn == [colours.get(near.labels[row], OTHERS) for row, _ in reversed(nearest)]
    assert "has the colour of its likeliest label" in picture


def test_rows_are_thinned_by_their_rarest_label(monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_SENTENCES", 100)
    labels = [[0, 2] if row % 10 == 0 else [0, 1] if row % 2 else [] if row % 20 == 2 else [0] for row in range(1000)]
    texts, kept = stratified([str(row) for row in range(1000)], labels)
    found = Counter(map(tuple, kept))
    assert found == {(0,): 35, (0, 1): 50, (0, 2): 10, (): 5}
    assert [labels[int(text)] for text in texts] == kept


def test_the_recipe_reads_the_sets_of_the_run(trained_sets, sets_file, csv_file) -> None:
    recipe = load_recipe()
    names = Predictor(trained_sets).labels
    asked = {"train_data": None, "reading": {}, "settings": {}}
    texts, labels = recipe.training_sentences(str(trained_sets), names, **asked)
    for text, row in zip(texts, labels, strict=True):
        assert {names[label] for label in row} == set(text.split()[2:])
    other = recipe.training_sentences(str(trained_sets), names, **(asked | {"train_data": [sets_file]}))
    assert other == (texts, labels)
    np.testing.assert_array_equal(Neighbours(texts, labels, np.eye(len(texts))).labels, [row[0] for row in labels])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_thresholds_are_seen_in_a_browser(trained_sets, tmp_path, lang) -> None:
    (tmp_path / "app").mkdir()
    words = [str(ROOT / "recipes" / "demo.py"), str(trained_sets), "--lang", lang]
    environment = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with served(words, tmp_path / "app", **environment) as (address, _), browser(tmp_path / "profile") as page:
        page.size(1280, 900)
        page.call("Page.navigate", url=address)
        page.wait("!!document.querySelector('textarea') && !!document.querySelector('#map svg')")
        page.evaluate(f"""(() => {{
            const box = document.querySelector("textarea");
            const value = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
            value.set.call(box, {json.dumps(SENTENCE)});
            box.dispatchEvent(new Event("input", {{bubbles: true}}));
        }})()""")
        go = {"en": "Show", "ko": "보기"}[lang]
        page.evaluate(f"[...document.querySelectorAll('button')].find((b) => b.innerText.trim() === '{go}').click()")
        page.wait("!!document.querySelector('#labels') && !!document.querySelector('#new')")
        predictor = Predictor(trained_sets)
        named = predictor.named(predictor.probabilities([SENTENCE])[0].tolist())
        assert page.evaluate("document.querySelector('#labels h2').innerText") == ", ".join(named)
        bars = "[...document.querySelectorAll('#labels li')]"
        assert page.evaluate(f"{bars}.length") == 12
        assert page.evaluate(f"{bars}.filter((bar) => bar.className === 'reached').length") == len(named)
        # The line in a bar stands where the threshold is.
        place = page.evaluate(f"""(() => {{
            const bar = {bars}[0].querySelector(".bar").getBoundingClientRect();
            const line = {bars}[0].querySelector("u").getBoundingClientRect();
            return ((line.left + line.right) / 2 - bar.left) / bar.width;
        }})()""")
        assert place == pytest.approx(predictor.thresholds[predictor.labels.index(named[0])], abs=0.01)
        for width in (1280, 390):
            page.size(width, 844)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.errors == []
