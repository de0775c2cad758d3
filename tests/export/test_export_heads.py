"""Stock heads of transformers that hold ours exactly, and the models that none holds."""

from __future__ import annotations

import pytest
import torch
from architectures import CONFIGS, batch, build
from transformers import AutoModelForSequenceClassification

from emo_hf.errors import UserError
from emo_hf.export.heads import stock_classifier
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pooling import POOLINGS

LABELS = ["불안", "슬픔", "기쁨"]


def widen(model: EmotionModel) -> EmotionModel:
    """Weights that make sentences and labels differ, so that an error in any of them would show."""
    torch.manual_seed(3)
    for parameter in model.encoder.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    for layer in (model.embedding, model.classifier):
        torch.nn.init.normal_(layer.weight, std=0.5)
        torch.nn.init.normal_(layer.bias)
    return model.eval()


EXACT = [(family, "cls") for family in CONFIGS] + [("modernbert", "mean")]


@pytest.mark.parametrize(("family", "pooling"), EXACT)
@torch.no_grad()
def test_stock_heads_give_our_logits(family, pooling, tmp_path):
    model, inputs = widen(build(family, pooling)), batch(family)
    del inputs["labels"]
    stock, _ = stock_classifier(model)
    stock.save_pretrained(tmp_path)
    loaded, report = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert type(loaded).__module__.startswith("transformers.models.")
    assert [loaded.config.id2label[i] for i in range(3)] == LABELS
    expected = model(**inputs).logits
    assert expected.abs().max() > 1
    torch.testing.assert_close(loaded.eval()(**inputs).logits, expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("family", "pooling"), [(f, p) for f in CONFIGS for p in POOLINGS if (f, p) not in EXACT], ids="_".join
)
def test_a_pooling_that_no_stock_head_has_is_refused(family, pooling):
    with pytest.raises(UserError, match=f"pooling is {pooling}, but the stock .* pools by cls.*--to onnx"):
        stock_classifier(build(family, pooling))


def test_other_models_that_no_stock_head_holds_are_refused():
    model = build("electra", "cls")
    model.config.id2label = dict(enumerate("abcdefghijklmnopq"))  # 17 labels and their negatives in 32 rows
    with pytest.raises(UserError, match="17 labels need 34 rows"):
        stock_classifier(model)
    model = build("bert", "cls")
    model.config.encoder.model_type = "other"
    with pytest.raises(UserError, match=r"stock head of other is not known.*albert, bert, camembert"):
        stock_classifier(model)
