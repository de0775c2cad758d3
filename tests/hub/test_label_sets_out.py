"""A model that gives several labels a row: its card, and what is made of it where nobody has emo_hf."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hub_server
import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image
from places import RECIPES

from emo_hf import Predictor
from emo_hf.hub.card import draw_pictures, model_card
from emo_hf.storage.record import read_record

SENTENCE = "어제 집에서 웃었어 신났어"


def test_the_card_has_the_scores_of_label_sets(trained_sets, tmp_path) -> None:
    record = read_record(trained_sets)
    test, labels = record["test"], record["data"]["labels"]
    card = ModelCard(model_card(record, "someone/sets", trained_sets))
    assert {r.metric_name: r.metric_value for r in card.data.eval_results} == {
        "macro-F1": round(test["macro_f1"], 4), "micro-F1": round(test["micro_f1"], 4),
    }  # fmt: skip
    assert "multi-label-classification" in card.data.tags and card.data.metrics == ["f1"]
    for name, key in {
        "macro-F1": "macro_f1",
        "micro-F1": "micro_f1",
        "sample-F1, the mean over rows": "sample_f1",
        "rows with all labels right": "accuracy",
    }.items():
        value, low, high = re.search(rf"\| {name} \| (\S+) \| \[(\S+), (\S+)\] \|", card.text).groups()
        assert value == f"{test[key]:.3f}" and low <= value <= high
    for key in ("mean_average_precision", "lrap", "coverage_error"):
        assert f"| {test[key]:.3f} | – |" in card.text
    for label in labels:
        s = test["per_class"][label]
        numbers = [s[name] for name in ("threshold", "precision", "recall", "f1", "average_precision")]
        assert f"| {label} | {' | '.join(f'{number:.3f}' for number in numbers)} | {s['support']} |" in card.text
    rows = record["data"]["report"]["rows"]
    assert rows["test"] < sum(record["data"]["counts"]["test"].values())
    assert f"({rows['test']} rows)" in card.text and f"train {rows['train']}, " in card.text
    assert "| accuracy |" not in card.text and "Confusion" not in card.text and "<details>" not in card.text
    assert "cls pooling, binary cross-entropy + triplet loss, a " in card.text
    assert "thresholds chosen on the validation split, as are the model's (one a label)" in card.text
    f1 = {label: score["f1"] for label, score in test["per_class"].items()}
    assert f"to {max(f1.values()):.3f} ({max(f1, key=f1.get)})" in card.text


def test_the_card_has_a_map_by_the_most_frequent_label_and_names_it(trained_sets, tmp_path) -> None:
    record = read_record(trained_sets)
    assert "](embeddings.png)" not in model_card(record, "someone/sets", tmp_path)
    shutil.copy(trained_sets / "predictions.npz", tmp_path)
    draw_pictures(record, tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"embeddings.png"}
    with np.load(tmp_path / "predictions.npz") as arrays:
        have = arrays["labels"].sum(0)
    label, rows = record["data"]["labels"][have.argmax()], record["data"]["report"]["rows"]["test"]
    text = model_card(record, "someone/sets", tmp_path)
    assert f"![t-SNE of the test embeddings by {label}](embeddings.png)\n\n" in text
    assert f"has the label {label}, the most frequent there:\n{have.max()} of {rows} texts have it." in text
    with Image.open(tmp_path / "embeddings.png") as image:
        shown = np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
    assert [0, 114, 178] in shown and [184, 184, 184] in shown  # the legend's colours of having and lacking it


def test_a_long_table_of_labels_is_folded_and_seeds_have_their_means(trained_sets) -> None:
    record = read_record(trained_sets)
    score = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "average_precision": 0.5, "threshold": 0.5, "support": 3}
    nothing = {name: None for name in score} | {"threshold": 0.5, "support": 0}
    record["data"]["labels"] = [f"감정{place}" for place in range(30)]
    record["test"]["per_class"] = {
        label: score | {"f1": place / 30} if place else nothing for place, label in enumerate(record["data"]["labels"])
    }
    other = record | {"test": record["test"] | {"macro_f1": record["test"]["macro_f1"] + 0.1}}
    text = ModelCard(model_card(record, "me/sets", seeds=[record, other])).text
    folded = text.split("<summary>All 30 labels</summary>\n\n")[1].split("\n\n</details>")[0]
    assert folded.count("\n| 감정") == 30 and "| 감정0 | 0.500 | – | – | – | – | 0 |" in folded
    assert "F1 of the labels: from 0.033 (감정1) to 0.967 (감정29), 0.500 in the middle." in text
    assert "macro-F1 is the mean over the other labels." in text
    assert f"micro-F1 {record['test']['micro_f1']:.3f} ± 0.000, macro-F1" in text
    for scores in record["test"]["per_class"].values():
        scores |= nothing
    assert "F1 of the labels" not in model_card(record, "me/sets")


@pytest.fixture(scope="module")
def pushed(trained_sets, tmp_path_factory):
    """The stand-in Hub with the model, and an environment that knows it."""
    home = tmp_path_factory.mktemp("home")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    with hub_server.running() as server:
        words = [sys.executable, str(RECIPES / "push.py"), str(trained_sets), "--hub_model_id", "sets"]
        environment = clean | {"OMP_NUM_THREADS": "1"}
        mine = environment | hub_server.environment(server, str(home / "mine"))
        done = subprocess.run(words, env=mine, capture_output=True, text=True, cwd=home)
        assert done.returncode == 0, done.stderr
        files = server.repos["tester/sets"].files
        assert {"model.safetensors", "config.json", "README.md", "modeling.py"} < set(files)
        assert [name for name in files if name.endswith(".png")] == ["embeddings.png"]
        yield files, environment | hub_server.environment(server, str(home / "yours"), None)


def read_elsewhere(code: str, folder: Path, environment: dict[str, str]) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_who_has_no_emo_hf_gets_the_same_from_the_card(pushed, trained_sets, tmp_path) -> None:
    """By the snippets of the card: labels, logits and thresholds; the loss of sets comes with the code."""
    files, environment = pushed
    snippets = re.findall(r"```python\n(.*?)```", files["README.md"].decode(), flags=re.DOTALL)
    classify, embed, predict = (snippet.replace("드디어 합격했어!", SENTENCE) for snippet in snippets)
    more = """
output = model(**tokenizer([TEXT], return_tensors="pt"), labels=torch.eye(12)[:1])
print(json.dumps([
    {s["label"]: s["score"] for s in scores}, output.logits[0].tolist(), embeddings.shape[1],
    model.config.thresholds, model.config.labels, output.loss.item(),
]))
""".replace("TEXT", repr(SENTENCE))
    code = f"import json, sys\nsys.modules['emo_hf'] = None\n{classify}{embed}{more}"
    chosen, found = read_elsewhere(code, tmp_path, environment)[-2:]
    scores, logits, size, thresholds, labels, loss = json.loads(found)
    predictor = Predictor(trained_sets, max_length=64)
    [expected] = predictor([SENTENCE])
    wanted = predictor.named(list(expected.values()))
    assert scores == pytest.approx(expected, abs=1e-5) and len(wanted) > 1
    assert [s["label"] for s in eval(chosen)] == wanted  # the card prints them as Python does
    assert (thresholds, labels, size) == (predictor.thresholds, predictor.labels, 16)
    probabilities = 1 / (1 + np.exp(-np.array(logits)))
    np.testing.assert_allclose(probabilities, [expected[label] for label in labels], atol=1e-5)
    assert loss == pytest.approx(-np.log([probabilities[0], *(1 - probabilities[1:])]).sum(), abs=1e-4)
    [line] = read_elsewhere(predict, tmp_path, environment)[-1:]
    assert line.startswith(repr(wanted))
