"""The README.md of an export: what it is, how it is used in a few lines, how exact it is."""

from __future__ import annotations

from typing import Any

from emo_hf.escaping import markdown_name

_LIBRARIES = {
    "transformers": "transformers",
    "sentence-transformers": "sentence-transformers",
    "onnx": "onnx",
    "onnx-int8": "onnx",
    "static": "tokenizers",
}
_USE = {
    "transformers": """from transformers import pipeline

classify = pipeline("text-classification", model=".", top_k=None, truncation=True, max_length={max_length})
classify("드디어 합격했어!")""",
    "sentence-transformers": """from sentence_transformers import SentenceTransformer

model = SentenceTransformer(".")
model.similarity(model.encode("드디어 합격했어!"), model.encode(["합격 소식에 펑펑 울었어", "잠이 안 와"]))""",
    "onnx": """import onnxruntime, tokenizers

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({max_length})
ids = tokenizer.encode("드디어 합격했어!").ids
session = onnxruntime.InferenceSession("model.onnx")
logits, embeddings = session.run(None, {{"input_ids": [ids], "attention_mask": [[1] * len(ids)]}})""",
    "static": """import numpy, tokenizers

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({max_length})
ids = tokenizer.encode("드디어 합격했어!").ids
sums = numpy.load("pieces.npy")[ids].sum(0)
logits = sums[:-1] / sums[-1]
embedding = numpy.load("piece_embeddings.npy", mmap_mode="r")[ids].sum(0) / sums[-1]""",
}
# Of a static model with character n-grams, after its pieces.
_SPELLED = """
letters = numpy.load("letters.npy")[ids]
letters = hashes = letters[letters > 0].astype("int64")
found = [letters]
for length in range(2, {ngrams} + 1):
    hashes = (hashes[:-1] * 1_000_003 + letters[length - 1 :]) % (2**31 - 1)
    found.append(hashes)
table = numpy.load("ngrams.npy")
buckets = numpy.concatenate(found) % len(table)
logits = logits + table[buckets].sum(0) / len(buckets) ** 0.5
spelled = numpy.load("ngram_embeddings.npy", mmap_mode="r")[buckets].sum(0) / len(buckets) ** 0.5
embedding = numpy.concatenate([embedding, spelled])"""
_REACHED = """
with open("config.json", encoding="utf-8") as file:
    config = json.load(file)
probabilities = 1 / (1 + numpy.exp(-{}))
reached = [p >= threshold for p, threshold in zip(probabilities, config["thresholds"])]
labels = [config["id2label"][str(place)] for place, is_reached in enumerate(reached) if is_reached]"""
# Of a model that gives several labels a sentence, each probability stands by itself, and each label has a threshold.
_USE_OF_SETS = _USE | {
    "transformers": """from transformers import pipeline

classify = pipeline(
    "text-classification", model=".", top_k=None, function_to_apply="sigmoid", truncation=True, max_length={max_length}
)
config = classify.model.config
[scores] = classify("드디어 합격했어!")
labels = [s["label"] for s in scores if s["score"] >= config.thresholds[config.label2id[s["label"]]]]""",
    "onnx": _USE["onnx"].replace("import onnxruntime", "import json\n\nimport numpy, onnxruntime")
    + _REACHED.format("logits[0]"),
    "static": _USE["static"].replace("import numpy", "import json\n\nimport numpy"),
}
_HEADS = {
    "nothing": "The head's two layers have no activation between, as in the model itself.",
    "rectifier": (
        "The stock head has an activation between its layers; it gets every value and its negative, and "
        "act(v) - act(-v) = v undoes it exactly."
    ),
    "tanh": (
        "The stock head has a tanh between its layers; it gets values scaled by 2^-20, where tanh(x) is x to the last "
        "bit of fp32, and the next layer scales them back. So keep fp32 or bf16 (fp16 has no such small numbers), and "
        "train on from the original model, not from this one."
    ),
    "layer norm": (
        "The stock head has a layer norm between its layers; it gets values so small that it divides by a constant, "
        "and the next layer scales them back. So keep fp32 or bf16 (fp16 has no such small numbers), and train on "
        "from the original model, not from this one."
    ),
}
_NFC = (
    "The model knows Hangul as NFC. Text from macOS file names and some keyboards is NFD: "
    '`unicodedata.normalize("NFC", text)` first.'
)
_NGRAMS = (
    "Of its character n-grams, those of a bucket add a row of `ngrams.npy` to the logits and one of "
    "`ngram_embeddings.npy` to the last values of the embedding; `letters.npy` spells the pieces. "
)

_SETS = (
    "A text may have several labels, or none: each label's probability (the sigmoid of its logit) stands by itself, "
    "and the text has those that reach their thresholds, which were chosen on validation rows: `thresholds` in "
    "`config.json`, in the order of the labels above."
)


def card(about: dict[str, Any]) -> str:
    """The text of README.md, from what `export.json` says."""
    to, checked = about["format"], about["fp32_check"]
    several = "thresholds" in about
    snippets = _USE_OF_SETS if several else _USE
    use = snippets["onnx" if to == "onnx-int8" else to].format(max_length=about["max_length"])
    if to == "static":
        ngrams = checked["ngrams"]
        use += (_SPELLED.format(ngrams=ngrams) if ngrams else "") + (_REACHED.format("logits") if several else "")
    task = "sentence-similarity" if to == "sentence-transformers" else "text-classification"
    parts = [
        f"---\nlanguage: ko\nlibrary_name: {_LIBRARIES[to]}\npipeline_tag: {task}\n---",
        f"# {markdown_name(about['model'])} for {to}",
        f"Emotion{'s' if several else ''} of one Korean utterance ({', '.join(map(markdown_name, about['labels']))}), "
        f"{about['pooling']} pooling, trained and exported by emo_hf. Longest input in training: "
        f"{about['max_length']} tokens.",
        f"```python\n{use}\n```",
        *([_SETS] if several and task == "text-classification" else []),
        _NFC,
        *([_prefix(about["prefix"])] if "prefix" in about else []),
        *_exactness(to, checked),
        *([_table(about["measured"], several)] if "measured" in about else []),
    ]
    return "\n\n".join(parts) + "\n"


def _prefix(prefix: str) -> str:
    return f'The tokenizer puts "{markdown_name(prefix)}" before every text: give texts as they are.'


def _exactness(to: str, checked: dict[str, Any]) -> list[str]:
    if to == "sentence-transformers":
        return [
            "The embedding is the one that the metric loss shaped, not normalised; largest difference of one of its "
            f"values to the original model's: {checked['max_embedding_difference']:.1e}."
        ]
    difference = f"Largest difference of a logit to the original model's: {checked['max_logit_difference']:.1e}."
    if to == "transformers":
        return [f"{_HEADS[checked['head']]} {difference}"]
    outputs = "Outputs: logits (batch, labels), in the order above, and embeddings (batch, dimensions). "
    if to == "static":
        return [
            "The model adds up vectors of the pieces of a text. `pieces.npy` holds of each piece its weight times its "
            "logits, and its weight; `piece_embeddings.npy` its weight times its embedding. "
            + (_NGRAMS if checked["ngrams"] else "")
            + difference
        ]
    if to == "onnx":
        return [outputs + difference]
    return [
        outputs + "Weights are int8; activations are rounded on scales that training texts decided, so that a text's "
        "result does not depend on what stands beside it. A batch of texts of one length, without padding, gives the "
        "very bytes of each text alone; padding moves the last digits of the attention, which is computed in fp32."
    ]


def _table(rows: list[dict[str, Any]], several: bool) -> str:
    changed = "texts with other labels" if several else "labels changed"
    first = rows[0]
    lines = [
        f"| {row['name']} | {100 * row['macro_f1']:.2f} | {row['changed']} | {row['sentences_per_second']:,.0f} | "
        f"{row['bytes'] / 1e6:.1f} |"
        for row in rows
    ]
    return "\n".join(
        [
            f"On the {first['sentences']} test sentences, CPU with {first['threads']} thread(s), median of rounds in "
            "which the three take turns:",
            "",
            f"| | macro-F1 (%) | {changed} | sentences/s | weights (MB) |",
            "| --- | ---: | ---: | ---: | ---: |",
            *lines,
        ]
    )
