"""Models from an encoder and from a checkpoint: the very weights, and no package needed to load what was saved."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny_tokenizer
from transformers import AutoModel, AutoTokenizer

from emo_hf.models.modeling import EmotionModel

LABELS = ["불안", "슬픔", "기쁨"]
TEXTS = ["오늘 학교에서 정말 웃었어", "어제 집에서 울었어"]


@pytest.mark.parametrize("layout", ["bert", "roberta"])
def test_from_encoder_takes_exactly_the_encoders_weights(encoders, layout):
    before = AutoModel.from_pretrained(encoders[layout], add_pooling_layer=False).state_dict()
    model = EmotionModel.from_encoder(encoders[layout], labels=LABELS, pooling="mean", embedding_size=8)
    after = model.encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any("pooler" in name for name in after)
    assert model.config.labels == LABELS
    assert model.config.embedding_size == 8
    assert model.config.pad_token_id == model.config.encoder.pad_token_id == (0 if layout == "bert" else 1)


def test_from_encoder_keeps_fp32_whatever_was_stored(encoders, tmp_path):
    AutoModel.from_pretrained(encoders["bert"], dtype=torch.float16).save_pretrained(tmp_path)
    model = EmotionModel.from_encoder(str(tmp_path), labels=LABELS)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    model.save_pretrained(tmp_path / "saved")
    assert {p.dtype for p in EmotionModel.from_pretrained(tmp_path / "saved").parameters()} == {torch.float32}


WITHOUT_PACKAGE = """
    import json, sys
    sys.modules["emo_hf"] = None  # importing the package fails from here on
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

    texts = json.loads(sys.argv[1])
    for folder in sys.argv[2:]:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        found = {}
        for loader in (AutoModelForSequenceClassification, AutoModel):
            model = loader.from_pretrained(folder, trust_remote_code=True).eval()
            with torch.no_grad():
                found[loader.__name__] = model(**inputs).logits.softmax(-1).tolist()
        labels = AutoConfig.from_pretrained(folder, trust_remote_code=True).labels
        classify = pipeline("text-classification", model=folder, trust_remote_code=True, top_k=None)
        found["pipeline"] = [
            [next(score["score"] for score in scores if score["label"] == label) for label in labels]
            for scores in classify(texts)
        ]
        assert type(model).__module__.startswith("transformers_modules")
        print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def outside(encoders, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """By layout: a checkpoint's folder, its probabilities here, and those found in a process without the package."""
    found, tmp_path = {}, tmp_path_factory.mktemp("outside")
    for layout, path in encoders.items():
        torch.manual_seed(6)
        model = EmotionModel.from_encoder(path, labels=LABELS, pooling="attention").eval()
        tokenizer = AutoTokenizer.from_pretrained(path)
        model.save_pretrained(tmp_path / layout)
        tokenizer.save_pretrained(tmp_path / layout)
        with torch.no_grad():
            expected = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.softmax(-1)
        found[layout] = {"folder": tmp_path / layout, "expected": expected.numpy()}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folders = [str(kept["folder"]) for kept in found.values()]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_PACKAGE), json.dumps(TEXTS), *folders],
        cwd=elsewhere,
        env={
            "PATH": "/usr/bin:/bin",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for kept, line in zip(found.values(), done.stdout.splitlines()[-len(found) :], strict=True):
        kept["found"] = json.loads(line)
    return found


@pytest.mark.parametrize("layout", ["bert", "roberta"])
def test_a_checkpoint_loads_without_the_package(outside, layout):
    kept = outside[layout]
    assert set(kept["found"]) == {"AutoModelForSequenceClassification", "AutoModel", "pipeline"}
    for name, probabilities in kept["found"].items():
        np.testing.assert_allclose(probabilities, kept["expected"], atol=1e-5, err_msg=name)
    assert {path.name for path in kept["folder"].glob("*.py")} == {
        "configuration.py",
        "layouts.py",
        "modeling.py",
        "ngrams.py",
        "pooling.py",
        "static.py",
    }


INSTALLED = """
    import sys
    {}
    texts = ["오늘 학교에서 정말 웃었어"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
    assert type(transformers.AutoConfig.from_pretrained(sys.argv[1])).__module__ == "emo_hf.models.configuration"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
    assert type(model).__module__ == "emo_hf.models.modeling"
    print(transformers.pipeline("text-classification", model=sys.argv[1], top_k=None)(texts))
"""


@pytest.mark.parametrize("order", ["import emo_hf, transformers", "import transformers.pipelines, emo_hf"])
def test_with_the_package_a_checkpoint_needs_no_trust(encoders, tmp_path, order):
    EmotionModel.from_encoder(encoders["bert"], labels=LABELS).save_pretrained(tmp_path)
    tiny_tokenizer("bert").save_pretrained(tmp_path)
    words = [sys.executable, "-c", textwrap.dedent(INSTALLED).format(order), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(label in done.stdout for label in LABELS)


def test_importing_the_package_imports_neither_torch_nor_transformers():
    code = "import emo_hf, sys; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
