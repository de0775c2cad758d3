"""The demo: what it says of a sentence, the page in a browser, and the Space that runs without a checkout."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import hub_server
import huggingface_hub
import numpy as np
import pytest
import yaml
from browser import CHROMIUM, browser
from huggingface_hub import snapshot_download
from sklearn.decomposition import PCA

from emo_hf import DataArguments, MetricTrainingArguments, ModelArguments, Predictor, neighbours, run
from emo_hf.errors import UserError
from emo_hf.hub.spaces import package_files
from emo_hf.neighbours import Neighbours, stratified
from emo_hf.record import read_record
from emo_hf.showcase import NEAREST, Demo, markup

ROOT = Path(__file__).parents[1]
EVIL = (
    "<img src=x onerror=\"document.title='taken'\"></svg><script>document.title='taken'</script> "
    "${document.title='taken'} {{ 7 * 7 }} & `x` \\"
)
SENTENCE = "오늘 학교에서 친구랑 같이 밥을 먹다가 나도 모르게 웃었어"

LABELS = ["불안", "슬픔", "기쁨"]


def train(encoders: dict[str, str], data: str, folder: Path) -> Path:
    run(
        ModelArguments(encoder=encoders["bert"], pooling="mean", embedding_size=16),
        DataArguments(data=data, max_length=32),
        MetricTrainingArguments(output_dir=str(folder), aux="triplet", num_train_epochs=1, bf16=False, seed=7),
    )
    return folder


@pytest.fixture(scope="module")
def trained(encoders, csv_file, tmp_path_factory) -> Path:
    """The folder of a small model of data that are not public."""
    return train(encoders, csv_file, tmp_path_factory.mktemp("demo") / "mini")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_demo", ROOT / "recipes" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    assert probabilities and notes == "" and "no &lt;data&gt;" in picture and "<svg" not in picture


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
    monkeypatch.setattr(recipe.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'gradio>=6'" in refused(str(trained))


def test_the_record_names_the_sentences(recipe, trained, csv_file, tmp_path, capsys) -> None:
    def sentences(model: Path, train_data: str | None = None, settings: dict | None = None) -> tuple[list, list]:
        return recipe.training_sentences(str(model), LABELS, train_data=train_data, settings=settings or {})

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


@pytest.fixture
def server() -> Iterator[hub_server.Hub]:
    with hub_server.running() as found:
        yield found


@pytest.fixture
def push(server, recipe, monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """`recipes/demo.py` in this process, with the real client, which waits for nothing between its tries."""
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def pushed(*words: object, token: str | None = hub_server.TOKEN) -> tuple[int, str, str]:
        client = functools.partial(huggingface_hub.HfApi, endpoint=server.endpoint, token=token)
        for place in ("huggingface_hub", "emo_hf.hub.upload", "emo_hf.hub.spaces"):
            monkeypatch.setattr(f"{place}.HfApi", client)
        code = recipe.main([*map(str, words), "--push_space"])
        return code, *capsys.readouterr()

    return pushed


def publish(server: hub_server.Hub, folder: Path, name: str = "tester/mini") -> None:
    """Put a trained model on the stand-in Hub, as `recipes/push.py` leaves it there."""
    kept = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "record.json")
    server.repos[name] = hub_server.Repo({file: (folder / file).read_bytes() for file in kept})


def test_a_space_holds_what_it_needs_and_no_private_sentence(server, push, trained) -> None:
    publish(server, trained)
    code, out, err = push(trained, "--hub_space_id", "shown", "--lang", "ko")
    assert code == 0, err
    assert "no training sentences pushed" in out
    space = server.repos["spaces/tester/shown"]
    front = yaml.safe_load(space.files["README.md"].decode().split("---\n")[1])
    assert (front["sdk"], front["app_file"], front["models"]) == ("gradio", "app.py", ["tester/mini"])
    assert front["python_version"] == "{}.{}".format(*sys.version_info) and re.match(r"\d+\.\d+", front["sdk_version"])
    assert space.sdk == "gradio" and space.files["app.py"] == (ROOT / "recipes" / "demo.py").read_bytes()
    assert json.loads(space.files["demo.json"]) == {"model": "tester/mini", "lang": "ko", "sentences": False}
    assert {f"emo_hf/{path.as_posix()}" for path in package_files()} < set(space.files)
    assert not [name for name in space.files if name.endswith((".safetensors", ".pyc", ".bin"))]
    everything = b"\n".join(space.files.values())
    secret = neighbours.training_data(read_record(trained)).splits["train"]["text"][0]
    assert secret.encode() not in everything and str(trained.parent).encode() not in everything
    assert all(hub_server.TOKEN.encode() not in content for content in [*server.bodies, *space.files.values()])

    commits = space.commits
    assert push(trained, "--hub_space_id", "shown", "--lang", "ko")[0] == 0 and space.commits == commits
    code, _, err = push("mini", "--hub_space_id", "shown", "--push_sentences", "--train_data", "nowhere.csv")
    assert code == 2 and "nowhere.csv does not exist" in err and "sentences.json" not in space.files

    code, out, _ = push("mini", "--hub_space_id", "shown", "--push_sentences")
    assert code == 0 and "144 training sentences are public now" in out
    assert secret in json.loads(space.files["sentences.json"])["text"]
    space.files["emo_hf/old.py"] = b""  # of an earlier version
    assert push(trained, "--hub_space_id", "shown")[0] == 0
    assert "sentences.json" not in space.files and "emo_hf/old.py" not in space.files
    assert "emo_hf/prediction.py" in space.files


@pytest.mark.parametrize(
    ("words", "token", "said"),
    [
        (["tester/mini"], None, "hf auth login"),
        (["tester/mini"], "hf_wrong", "the token is not valid (401)"),
        (["tester/none"], hub_server.TOKEN, "push the model first: python recipes/push.py"),
        (["a/b/c"], hub_server.TOKEN, "--hub_model_id 'a/b/c'"),
        (["tester/mini", "--hub_space_id", "forbidden/x"], hub_server.TOKEN, "no right to write there (403)"),
        (["tester/mini", "--hub_space_id", "a/b/c"], hub_server.TOKEN, "--hub_space_id 'a/b/c'"),
    ],
)
def test_a_space_is_refused_in_one_line_before_anything_is_sent(server, push, trained, words, token, said) -> None:
    publish(server, trained)
    code, _, err = push(*words, token=token)
    assert code == 2 and said in err and "Traceback" not in err, err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert not [name for name in server.repos if name.startswith("spaces/")]


def test_a_push_of_a_space_that_breaks_says_so(server, push, trained) -> None:
    publish(server, trained)
    server.faults["POST /api/spaces/.*/commit/"] = [503] * 8
    code, _, err = push(trained)
    assert code == 2 and "the push to the Space tester/mini-demo failed: the Hub answers 503" in err


@contextmanager
def served(command: list[str], folder: Path, **environment: str) -> Iterator[tuple[str, list[str]]]:
    """The address of an app that was started in a folder, and the lines that it wrote before it was up."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GRADIO_", "PYTHON"))}
    log = folder / "app.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", *command],
            cwd=folder, env=clean | {"OMP_NUM_THREADS": "1"} | environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        end = time.monotonic() + 180
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.2)
        yield found.group(), log.read_text().splitlines()
    finally:
        process.terminate()
        process.wait(timeout=30)


# Only what requirements.txt asks for can be imported, and no checkout of emo_hf but the folder's own.
SPACE = """
import os, runpy, sys
from importlib import metadata
from packaging.requirements import Requirement

def needed(lines):
    found, waiting = set(), [(Requirement(line), "") for line in lines]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = requirement.name.lower().replace("_", "-").replace(".", "-")
        for extra in ["", *requirement.extras]:
            if (name, extra) not in found:
                found.add((name, extra))
                try:
                    waiting += [(Requirement(line), extra) for line in metadata.requires(name) or []]
                except metadata.PackageNotFoundError:
                    pass
    return {name for name, _ in found}

allowed = needed([*open("requirements.txt").read().splitlines(), "gradio"])
absent = {
    module for module, names in metadata.packages_distributions().items()
    if not {name.lower().replace("_", "-").replace(".", "-") for name in names} & allowed
} - {"emo_hf"}
assert "sentence_transformers" in absent and "torch" not in absent

class Only:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in absent else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Only(finder) for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
import emo_hf
assert os.path.realpath(emo_hf.__file__).startswith(os.path.realpath(os.getcwd())), emo_hf.__file__
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("data", ["sample", "private"])
def test_a_space_runs_from_its_own_files(server, push, trained, encoders, tmp_path, data) -> None:
    from gradio_client import Client

    model = train(encoders, "sample", tmp_path / "sample") if data == "sample" else trained
    publish(server, model)
    assert push("tester/mini", "--hub_space_id", "shown")[0] == 0
    folder = tmp_path / "space"
    snapshot_download("tester/shown", repo_type="space", endpoint=server.endpoint, token=False, local_dir=folder)
    (folder / "start.py").write_text(textwrap.dedent(SPACE))
    environment = hub_server.environment(server, str(tmp_path / "home"), None)
    with served(["start.py"], folder, **environment) as (address, lines):
        label, notes, picture = Client(address, verbose=False).predict(SENTENCE, api_name="/predict")
    [expected] = Predictor(model)([SENTENCE])
    assert {part["label"]: part["confidence"] for part in label["confidences"]} == pytest.approx(expected, abs=1e-5)
    if data == "sample":
        assert notes.count('<td class="text">') == NEAREST and "<svg" in picture
    else:
        assert "<td" not in notes and "the training sentences of this model are not published" in picture
        assert "without neighbours: the training sentences of this model are not published" in lines


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
