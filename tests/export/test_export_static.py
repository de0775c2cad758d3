"""Tables of a static model: the model's own numbers, by numpy alone, in any company; and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT
from transformers import AutoTokenizer

from emo_hf.data.text import clean
from emo_hf.errors import UserError
from emo_hf.export.export import export
from emo_hf.inference.backends import load_model
from emo_hf.inference.demo import Demo
from emo_hf.inference.neighbours import Neighbours
from emo_hf.inference.predictor import Predictor
from emo_hf.models.folders import check_start
from emo_hf.models.modeling import EmotionModel

LABELS = ["불안", "슬픔", "기쁨"]
TEXTS = ["오늘 학교에서 웃었어", "", "어제", "저녁에 회사에서 친구랑 같이 밥을 먹다가 울었어", "모르는 낱말 뷁 " * 30]
CUT = 24


@pytest.fixture(
    scope="module",
    params=[(False, 0), (True, 0), (False, 4), (True, 1)],
    ids=["one label", "sets", "4-grams", "1-grams"],
)
def made(request, static_encoder, tmp_path_factory) -> tuple[Path, Path]:
    """A model as training leaves it, and its export."""
    folder = tmp_path_factory.mktemp("static")
    torch.manual_seed(1)
    several, ngrams = request.param
    tokenizer = AutoTokenizer.from_pretrained(static_encoder)
    model = EmotionModel.from_encoder(
        static_encoder, labels=LABELS, pooling="mean", embedding_size=16, multi_label=several, ngrams=ngrams,
        tokenizer=tokenizer,
    )  # fmt: skip
    torch.nn.init.normal_(model.classifier.weight)
    if ngrams:
        torch.nn.init.normal_(model.ngrams.table.weight)
    if several:
        model.config.thresholds = [0.3, 0.5, 0.6]
    model.save_pretrained(folder / "run")
    tokenizer.save_pretrained(folder / "run")
    return folder / "run", export(folder / "run", "static", folder / "export")


@torch.no_grad()
def own(run: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and embeddings of the model itself, text by text."""
    tokenizer, model = AutoTokenizer.from_pretrained(run), load_model(run)
    found = [model(**tokenizer([clean(t)], truncation=True, max_length=CUT, return_tensors="pt")) for t in texts]
    return torch.cat([row.logits for row in found]).numpy(), torch.cat([row.embeddings for row in found]).numpy()


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1], [""], ["", ""], [*TEXTS, ""], TEXTS * 40])
def test_tables_give_the_numbers_of_the_model(made, texts):
    run, folder = made
    predictor = Predictor(folder, max_length=CUT)
    logits, embeddings = own(run, texts)
    found = predictor.backend.outputs(list(map(clean, texts)), CUT)
    np.testing.assert_allclose(found[0], logits, atol=1e-5)
    np.testing.assert_allclose(found[1], embeddings, atol=1e-5)
    whole = Predictor(run, max_length=CUT, device="cpu")
    torch.testing.assert_close(predictor.probabilities(texts), whole.probabilities(texts), atol=1e-5, rtol=0)
    scores, vectors = predictor.outputs(texts)
    torch.testing.assert_close(scores, whole.outputs(texts)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors, whole.outputs(texts)[1], atol=1e-5, rtol=0)
    assert (predictor.labels, predictor.thresholds) == (whole.labels, whole.thresholds)
    assert [predictor.length(text) for text in texts] == [whole.length(text) for text in texts]


def test_neither_torch_nor_transformers_is_imported(made, tmp_path):
    """By predict.py on a file, and by what the export's README says without emo_hf."""
    run, folder = made
    source = tmp_path / "texts.csv"
    source.write_text("text\n" + "\n".join(text for text in TEXTS if text) + "\n", encoding="utf-8")
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nimport predict\n"
        "assert predict.main(sys.argv[2:]) == 0\n"
        "assert not {'torch', 'transformers', 'onnxruntime'} & set(sys.modules), 'imported'"
    )
    words = [str(ROOT / "recipes"), str(folder), str(source), "--output", str(tmp_path / "out.jsonl")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = Predictor(run).probabilities([text for text in TEXTS if text]).tolist()
    np.testing.assert_allclose([[row["scores"][label] for label in LABELS] for row in lines], expected, atol=2e-4)

    [use] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    shown = use.replace("드디어 합격했어!", TEXTS[0]) + (
        "\nimport json, sys\n"
        "heavy = {'torch', 'transformers', 'emo_hf'} & set(sys.modules)\n"
        "print(json.dumps([logits.tolist(), embedding.tolist(), sorted(heavy)]))"
    )
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    logits, embedding, heavy = json.loads(done.stdout)
    found = own(run, TEXTS[:1])
    assert not heavy
    np.testing.assert_allclose(logits, found[0][0], atol=1e-5)
    np.testing.assert_allclose(embedding, found[1][0], atol=1e-5)


def test_the_demo_shows_it(made):
    run, folder = made
    predictor = Predictor(folder)
    near = Neighbours.embedded(predictor, TEXTS, [[0]] * len(TEXTS) if predictor.thresholds else [0] * len(TEXTS))
    _, notes, _ = Demo(predictor, near).answer("모르는 낱말 뷁 " * 300)
    _, expected, _ = Demo(Predictor(run), near).answer("모르는 낱말 뷁 " * 300)
    assert notes == expected and "뷁" in notes


def test_onnx_has_it_too(made, tmp_path):
    run, _ = made
    folder = export(run, "onnx", tmp_path / "out")
    found = Predictor(folder, max_length=CUT).outputs(TEXTS)
    for values, expected in zip(found, Predictor(run, max_length=CUT, device="cpu").outputs(TEXTS), strict=True):
        torch.testing.assert_close(values, expected, atol=1e-5, rtol=0)


def test_what_is_refused(made, encoders, static_encoder, tmp_path):
    run, folder = made
    for to in ("transformers", "sentence-transformers"):
        with pytest.raises(UserError, match=f"--to {to} knows no encoder without layers; --to static and"):
            export(run, to, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(static_encoder)
    model = EmotionModel.from_encoder(encoders["bert"], labels=LABELS, pooling="mean", embedding_size=16)
    model.save_pretrained(tmp_path / "layers")
    tokenizer.save_pretrained(tmp_path / "layers")
    with pytest.raises(UserError, match="--to static: the encoder is bert, which reads a text as a whole"):
        export(tmp_path / "layers", "static", tmp_path / "out")
    with pytest.raises(UserError, match="is a static export, which can't be trained on; give the folder of the run"):
        check_start(folder)
    with pytest.raises(UserError, match="computes on the CPU"):
        Predictor(folder, device="cuda")
    assert not (tmp_path / "out").exists()


def test_a_broken_export_is_one_line(made, tmp_path):
    """Whichever of the files that it reads is broken, those of n-grams too where it has them."""
    names = {path.name for path in made[1].iterdir()}
    read = {"pieces.npy", "piece_embeddings.npy", "config.json", "tokenizer.json", "letters.npy", "ngrams.npy",
            "ngram_embeddings.npy"} & names  # fmt: skip
    assert len(read) in (4, 7)
    for broken in read:
        for path in made[1].iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes() if path.name != broken else b"broken")
        with pytest.raises(UserError, match="can't be loaded"):
            Predictor(tmp_path)
