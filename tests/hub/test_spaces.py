"""A Space of the demo: what it holds, what it is refused for, and that it runs without a checkout."""

from __future__ import annotations

import functools
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import hub_server
import huggingface_hub
import pytest
import yaml
from demo_app import ROOT, SENTENCE, load_recipe, served, train
from huggingface_hub import snapshot_download

from emo_hf import Predictor
from emo_hf.hub.spaces import package_files
from emo_hf.inference import neighbours
from emo_hf.inference.demo import NEAREST
from emo_hf.storage.record import read_record


@pytest.fixture
def recipe() -> ModuleType:
    return load_recipe()


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
    assert "emo_hf/inference/predictor.py" in space.files


def test_a_space_of_a_model_of_several_labels_a_row_publishes_its_sets(server, push, trained_sets) -> None:
    publish(server, trained_sets, "tester/sets")
    code, out, err = push("sets", "--hub_space_id", "shown", "--push_sentences")
    assert code == 0, err
    content = json.loads(server.repos["spaces/tester/shown"].files["sentences.json"])
    train = neighbours.training_data(read_record(trained_sets)).splits["train"]
    assert content == {"text": train["text"][:], "label": train["label"][:]} and max(map(len, content["label"])) == 3
    assert f"{len(train)} training sentences are public now" in out


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
@pytest.mark.parametrize("data", ["sample", "private", "sets"])
def test_a_space_runs_from_its_own_files(server, push, trained, trained_sets, tmp_path, data) -> None:
    from gradio_client import Client

    model = train({"bert": "tiny-bert"}, "sample", tmp_path / "sample") if data == "sample" else trained
    model = trained_sets if data == "sets" else model
    publish(server, model)
    assert push("tester/mini", "--hub_space_id", "shown", *(["--push_sentences"] if data == "sets" else []))[0] == 0
    folder = tmp_path / "space"
    snapshot_download("tester/shown", repo_type="space", endpoint=server.endpoint, token=False, local_dir=folder)
    (folder / "start.py").write_text(textwrap.dedent(SPACE))
    environment = hub_server.environment(server, str(tmp_path / "home"), None)
    with served(["start.py"], folder, **environment) as (address, lines):
        label, notes, picture = Client(address, verbose=False).predict(SENTENCE, api_name="/predict")
    [expected] = Predictor(model)([SENTENCE])
    if data == "sets":
        assert label.count("<li") == 12 and f">{max(expected.values()):.0%}<" in label.replace("✓ ", "")
        assert notes.count('<td class="text">') == NEAREST and "<svg" in picture
        return
    assert {part["label"]: part["confidence"] for part in label["confidences"]} == pytest.approx(expected, abs=1e-5)
    if data == "sample":
        assert notes.count('<td class="text">') == NEAREST and "<svg" in picture
    else:
        assert "<td" not in notes and "the training sentences of this model are not published" in picture
        assert "without neighbours: the training sentences of this model are not published" in lines
