"""The demo: what it says of a sentence, and the page in a browser."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from browser import CHROMIUM, browser
from demo_app import ROOT, SENTENCE, load_recipe, served
from sklearn.decomposition import PCA

from emo_hf import Predictor
from emo_hf.errors import UserError
from emo_hf.inference import neighbours
from emo_hf.inference.demo import NEAREST, Demo, markup
from emo_hf.inference.explaining import explain
from emo_hf.inference.neighbours import Neighbours, stratified
from emo_hf.storage.record import read_record

EVIL = (
    "<img src=x onerror=\"document.title='taken'\"></svg><script>document.title='taken'</script> "
    "${document.title='taken'} {{ 7 * 7 }} & `x` \\"
)

LABELS = ["불안", "슬픔", "기쁨"]


@pytest.fixture
def recipe() -> ModuleType:
    return load_recipe()


@pytest.fixture(scope="module")
def demo(trained) -> Demo:
    predictor = Predictor(trained)
    train = neighbours.training_data(read_record(trained)).splits["train"]
    return Demo(predictor, Neighbours.embedded(predictor, [EVIL, *train["text"][1:]], train["label"][:]))


def test_probabilities_are_the_predictors_and_neighbours_those_of_a_plain_search(demo) -> None:
    near = demo.neighbours
    for sentence in (SENTENCE, "모르는 낱말 뷁 😀🎉", "  앞뒤 빈칸  ", "가" * 5000):
        probabilities, table, picture = demo.answer(sentence)
        [expected] = demo.predictor([sentence.strip()])
        assert probabilities == pytest.approx(expected, abs=1e-6)
        embedding = demo.predictor.outputs([sentence.strip()])[1][0].tolist()
        distances = [sum((a - b) ** 2 for a, b in zip(row, embedding, strict=True)) ** 0.5
                     for row in near.embeddings.tolist()]  # fmt: skip
        order = sorted(range(len(distances)), key=distances.__getitem__)[:NEAREST]
        found = near.nearest(np.array(embedding, dtype=np.float32), NEAREST)
        assert [distance for _, distance in found] == pytest.approx([distances[row] for row in order], abs=1e-4)
        cells = re.findall(r'<td class="text">(.*?)</td>', table)
        assert cells == [markup(near.texts[row]) for row, _ in found]
        assert re.findall(r"\d+\.\d\d(?=</td>)", table) == [f"{distance:.2f}" for _, distance in found]
        assert picture.count("<title>") == NEAREST and 'id="new"' in picture
        assert ("tokens" in table) == (len(sentence) == 5000)


def test_a_sentence_of_the_training_set_is_its_own_neighbour(demo) -> None:
    row = 17
    embedding = demo.predictor.outputs([demo.neighbours.texts[row]])[1].numpy()
    [(_, distance)] = demo.neighbours.nearest(embedding[0], 1)
    assert distance == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(demo.neighbours.place(embedding)[0], demo.neighbours.points[row], atol=1e-3)


def test_nothing_typed_gives_no_numbers(demo) -> None:
    for sentence in ("", "   ", "\n\t"):
        probabilities, note, picture = demo.answer(sentence)
        assert probabilities is None and "Type a sentence first." in note and 'id="new"' not in picture


def test_no_sentence_gets_out_of_its_place(demo) -> None:
    _, table, picture = demo.answer(EVIL)
    assert "<img" not in table + picture and "<script" not in table + picture
    assert "{{" not in table + picture and "${" not in table + picture and "`" not in table + picture
    assert markup(EVIL) in table  # it is a training sentence here, and the nearest


def test_without_neighbours_it_says_why(demo) -> None:
    alone = Demo(demo.predictor, None, why="no <data>", lang="ko")
    probabilities, notes, picture = alone.answer(SENTENCE)
    assert probabilities and "no &lt;data&gt;" in picture and "<svg" not in picture
    assert "<table" not in notes and notes.count("<span") == len(SENTENCE.split())


def test_words_have_the_colour_of_what_they_carried(demo) -> None:
    found = next(explain(demo.predictor, [SENTENCE]))
    _, notes, _ = demo.answer(SENTENCE)
    spans = re.findall(r'<span class="(\w+)" style="--share:(\d+)%" title="log odds ([^"]+)">(.*?)</span>', notes)
    assert [word for *_, word in spans] == [markup(word) for word in found.words]
    assert [kind for kind, *_ in spans] == ["for" if weight >= 0 else "against" for weight in found.weights]
    assert max(int(share) for _, share, *_ in spans) == 100
    assert [float(weight) for *_, weight, _ in spans] == pytest.approx(found.weights, abs=0.051)


def test_of_many_labels_those_that_matter_have_a_colour(demo, monkeypatch) -> None:
    monkeypatch.setattr(demo.predictor, "labels", [f"감정{i}" for i in range(60)])
    assert demo.coloured([7, 3, 7]) == {7: demo.coloured([7])[7], 3: demo.coloured([7, 3])[3]}
    assert "other labels" in demo.legend(demo.coloured([7, 3]), False)


def test_the_plane_is_that_of_the_principal_components() -> None:
    cloud = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(1, 9)
    near = Neighbours(["문장"] * 50, np.zeros(50, dtype=int), cloud)
    pca = PCA(2).fit(cloud.astype(np.float32))
    new = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    np.testing.assert_allclose(np.abs(near.place(new)), np.abs(pca.transform(new)), atol=1e-3)
    assert near.shown == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-5)
    lonely = Neighbours(["하나"], np.array([0]), np.ones((1, 8)))
    assert lonely.points.tolist() == [[0, 0]] and lonely.shown == 1 and lonely.nearest(np.ones(8), 5) == [(0, 0.0)]


def test_a_large_training_set_is_thinned_by_label(monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_SENTENCES", 100)
    labels = [0] * 800 + [1] * 150 + [2] * 50
    texts, kept = stratified([str(i) for i in range(1000)], labels)
    assert [kept.count(label) for label in range(3)] == [80, 15, 5]
    assert [labels[int(text)] for text in texts] == kept and texts == sorted(texts, key=int)
    assert stratified(texts[:7], kept[:7]) == (texts[:7], kept[:7])


def test_mistakes_are_one_line(recipe, trained, tmp_path, capsys, monkeypatch) -> None:
    def refused(*words: str) -> str:
        assert recipe.main(list(words)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1, said
        return said

    assert "can't be loaded" in refused(str(tmp_path / "nothing"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} is taken" in refused(str(trained), "--port", port)
    assert "--sheet is for --train_data; give both" in refused(str(trained), "--sheet", "1")
    monkeypatch.setattr(recipe.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'gradio>=6'" in refused(str(trained))


def test_the_record_names_the_sentences(recipe, trained, csv_file, tmp_path, capsys) -> None:
    def sentences(model: Path, train_data: str | None = None, settings: dict | None = None) -> tuple[list, list]:
        return recipe.training_sentences(
            str(model), LABELS, train_data=train_data, reading={}, settings=settings or {}
        )

    texts, labels = sentences(trained)
    assert len(texts) == 144 and labels.count(0) == 48
    assert sentences(trained, csv_file) == (texts, labels)
    record = read_record(trained)
    record["data"]["fingerprint"] = "other"
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert sentences(tmp_path) == (texts, labels) and "has changed since the training" in capsys.readouterr().err
    for content, said in {
        "{}": "no record.json of the model can be read that says what it was trained on",
        json.dumps({"arguments": {"data": {"data": str(tmp_path / "gone.csv")}}}): "gone.csv does not exist",
    }.items():
        (tmp_path / "record.json").write_text(content)
        with pytest.raises(UserError, match=said):
            sentences(tmp_path)
    with pytest.raises(UserError, match="not published"):
        sentences(trained, settings={"model": "me/mini", "sentences": False})


def test_other_data_are_read_as_those_of_the_run(recipe, trained, csv_file, tmp_path) -> None:
    """With its columns and its names of labels; what has neither is read by itself, or as the command line says."""

    def shown(*data: Path | str, **reading: object) -> tuple[list[str], list[int]]:
        return recipe.training_sentences(
            str(tmp_path), LABELS, train_data=[str(path) for path in data], reading=reading, settings={}
        )

    def table(name: str, header: str, first: int, cells: str = "012") -> tuple[Path, list[str]]:
        texts = [f"{name}의 말 {number}번" for number in range(first, first + 30)]
        rows = "".join(f"{number},{text},{cells[number % 3]}\n" for number, text in enumerate(texts))
        (tmp_path / f"{name}.csv").write_text(f"id,{header}\n{rows}", encoding="utf-8")
        return tmp_path / f"{name}.csv", texts

    record = read_record(trained)
    record["arguments"]["data"] |= {
        "text_column": "words",
        "label_column": "number",
        "label_map": ["0=불안", "1=슬픔", "2=기쁨"],
        "train_fraction": 0.1,
    }
    (tmp_path / "record.json").write_text(json.dumps(record))
    (one, first), (two, second), (odd, _) = (
        table("하나", "words,number", 0), table("둘", "words,number", 30), table("셋", "a,b", 0, "xyz")
    )  # fmt: skip
    texts, labels = shown(one)
    assert len(texts) == 24 and set(texts) < set(first)
    assert labels == [first.index(text) % 3 for text in texts]
    texts, labels = shown(one, two)
    assert len(texts) == 48 and set(texts) < {*first, *second} and set(labels) == {0, 1, 2}
    assert shown(csv_file) == recipe.training_sentences(str(trained), LABELS, train_data=None, reading={}, settings={})
    with pytest.raises(UserError, match="no text column"):
        shown(odd)
    named = {"text_column": "a", "label_column": "3", "label_map": ["x=불안", "y=슬픔", "z=기쁨"]}
    assert len(shown(odd, **named)[0]) == 24


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
def test_a_sentence_is_typed_in_a_browser(trained, tmp_path) -> None:
    """Without network: the page asks nobody but the app, shows what was typed, and runs none of it."""
    (tmp_path / "app").mkdir()
    words = [str(ROOT / "recipes" / "demo.py"), str(trained)]
    environment = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with served(words, tmp_path / "app", **environment) as (address, _), browser(tmp_path / "profile") as page:
        page.size(1280, 900)
        page.call("Page.navigate", url=address)
        page.wait("!!document.querySelector('textarea') && !!document.querySelector('#map svg')")
        for sentence in (SENTENCE, EVIL):
            page.evaluate("document.querySelector('#nearest')?.remove()")
            page.evaluate(f"""(() => {{
                const box = document.querySelector("textarea");
                const value = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
                value.set.call(box, {json.dumps(sentence)});
                box.dispatchEvent(new Event("input", {{bubbles: true}}));
            }})()""")
            page.evaluate(
                "[...document.querySelectorAll('button')].find((b) => b.innerText.trim() === 'Show').click()"
            )
            page.wait("!!document.querySelector('#nearest') && !!document.querySelector('#new')")
            [expected] = Predictor(trained)([sentence])
            best = max(expected, key=expected.get)
            page.wait(f"document.querySelector('h2').innerText.trim() === {json.dumps(best)}")
            rows = page.evaluate("document.querySelectorAll('#nearest tbody tr').length")
            assert rows == NEAREST and "taken" not in page.evaluate("document.title")
            assert f"{expected[best]:.0%}" in page.evaluate("document.body.innerText")
        page.size(390, 844)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        foreign = [url for url in page.requested if not url.startswith((address, "data:", "blob:"))]
        assert foreign == [] and page.errors == []
