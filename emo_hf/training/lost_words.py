"""What a tokenizer makes of the training texts: words that it loses, why, and texts that are cut."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.data.loading import EmotionData
from emo_hf.data.tokenization import NORMALIZATION
from emo_hf.errors import UserError
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.training.loss_causes import cause_of

logger = logging.getLogger(__name__)

REFUSED, WARNED = 1 / 2, 1 / 20  # shares of unknown tokens
CUT_WARNED = 1 / 20  # share of texts
SAMPLE = 1000  # texts that are tokenized again to find words and causes
CUT_SAMPLE = 200  # texts that fill max_length, and are measured whole


def look_at_tokens(
    data: EmotionData,
    tokens: datasets.Dataset,
    tokenizer: PreTrainedTokenizerBase,
    model: ModelArguments,
    max_length: int,
    most: int | None,
) -> tuple[dict[str, Any], EmotionData]:
    """What the record says of the training tokens, and the data with a note on what the user must know of them.

    Args:
        data: what is trained on; they may be shared by other runs, so they stay as they are.
        tokens: of the training split, as `tokenize_splits` gives them.
        tokenizer: what made them.
        model: where the tokenizer came from.
        max_length: where texts were cut.
        most: how many tokens the encoder takes; None: any number.

    Raises:
        UserError: more than half of the tokens are unknown.
    """
    texts = data.splits["train"]["text"]
    most = min(most or tokenizer.model_max_length, tokenizer.model_max_length)
    share, rows = _unknown_share(tokens, tokenizer)
    words: list[str] = []
    notes = []
    if share > WARNED:
        words, line = _explained(share, [texts[int(row)] for row in _spread(rows, SAMPLE)], tokenizer, model)
        if share > REFUSED:
            raise UserError(line)
        notes.append(line)
    cut, line = _cut_share(texts, tokens, tokenizer, max_length, most)
    if cut > CUT_WARNED:
        notes.append(line)
    for note in notes:
        logger.warning(note)
    found = {"unknown_share": round(share, 4), "cut_share": round(cut, 4), "commonest_unknown": words}
    return found, replace(data, report={**data.report, "notes": [*data.report["notes"], *notes]})


def check_texts_known(texts: Sequence[str], model: ModelArguments) -> None:
    """Refuse, by a sample of texts, an encoder whose tokenizer does not know them, before a study or search begins.

    Raises:
        UserError: more than half of the sample's tokens are unknown.
    """
    tokenizer = load_tokenizer(model)
    sample = _normal([texts[int(row)] for row in _spread(np.arange(len(texts)), SAMPLE)])
    if (share := share_of_unknown(tokenizer, sample)) > REFUSED:
        raise UserError(_explained(share, sample, tokenizer, model)[1])


def share_of_unknown(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> float:
    """Unknown among the tokens of texts, special ones not counted."""
    unknown = unknown_id(tokenizer)
    if unknown is None or not len(texts):
        return 0.0
    rows = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return float((ids == unknown).mean()) if len(ids) else 0.0


def unknown_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id of what stands for unknown pieces; None for a tokenizer that knows every byte."""
    if tokenizer.unk_token_id is not None or not tokenizer.is_fast:
        return tokenizer.unk_token_id
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]  # where its configuration does not name it
    found = model.get("unk_id")
    return found if model.get("unk_token") is None else tokenizer.backend_tokenizer.token_to_id(model["unk_token"])


def _unknown_share(tokens: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[float, np.ndarray]:
    """The share over all tokens that are no special ones of each text, and the rows that have unknown ones."""
    unknown = unknown_id(tokenizer)
    if unknown is None:
        return 0.0, np.array([], dtype=np.int64)
    special = tokenizer("")["input_ids"]
    own = special.count(unknown)  # where one token is both, as GPT-2's
    found, total, rows, start = 0, 0, [], 0
    for chunk in tokens.data.column("input_ids").chunks:
        ids, offsets = np.asarray(chunk.flatten()), np.asarray(chunk.offsets)
        sums = np.concatenate([[0], np.cumsum(ids == unknown)])
        counts = np.diff(sums[offsets - offsets[0]]) - own
        found, total = found + int(counts.sum()), total + len(ids) - len(special) * len(chunk)
        rows.append(start + np.flatnonzero(counts > 0))
        start += len(chunk)
    return found / max(total, 1), np.concatenate(rows)


def _explained(
    share: float, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, model: ModelArguments
) -> tuple[list[str], str]:
    """The three commonest lost words of texts, and a line about them and why they are lost."""
    texts = _normal(texts)
    lost = lost_words(tokenizer, texts)
    words = [word for word, _ in lost.most_common(3)]
    cause = cause_of(lost, tokenizer, model, lambda other: share_of_unknown(other, texts))
    named = ", ".join(repr(word[:20]) for word in words)
    return words, (
        f"encoder {model.encoder!r}: {100 * share:.1f} % of the tokens of the training texts are unknown to its "
        f"tokenizer ({tokenizer.unk_token or 'unk'}), most often {named}; {cause}"
    )


def lost_words(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Counter[str]:
    """What of texts became an unknown token, and how often."""
    unknown = unknown_id(tokenizer)
    if tokenizer.is_fast:
        encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return Counter(
            text[start:end].strip()
            for text, ids, places in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
            for token, (start, end) in zip(ids, places, strict=True)
            if token == unknown
        )
    words = Counter(word for text in texts for word in text.split())
    lost = {word for word in words if unknown in tokenizer(word, add_special_tokens=False)["input_ids"]}
    return Counter({word: count for word, count in words.items() if word in lost})


def _cut_share(
    texts: Sequence[str], tokens: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, most: int
) -> tuple[float, str]:
    """The share of texts that lost tokens to `max_length`, and a line about it with a larger one that was tried."""
    limit = min(max_length, tokenizer.model_max_length)
    full = np.flatnonzero(np.asarray(tokens.data.column("length")) >= limit)
    if not len(full):
        return 0.0, ""
    # What fills the limit may just fit; more than 40 characters a token is no text.
    sample = _normal([texts[int(row)][: 40 * min(most, 8192)] for row in _spread(full, CUT_SAMPLE)])
    lengths = np.array([len(row) for row in tokenizer(sample, verbose=False)["input_ids"]])
    part = len(full) / len(tokens)
    share = part * float((lengths > limit).mean())
    steps = [length for length in (limit * 2**step for step in range(1, 8)) if length < most]
    if most > limit:
        steps.append(min(most, limit * 2**8))
    wanted = next((step for step in steps if part * (lengths > step).mean() <= CUT_WARNED / 5), (steps or [None])[-1])
    way = "and the encoder takes no more"
    if wanted is not None:
        way = f"--max_length {wanted} would cut {100 * part * float((lengths > wanted).mean()):.1f} %"
    return share, f"{100 * share:.1f} % of the training texts have more than {limit} tokens and are cut; {way}"


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]


def _normal(texts: Sequence[str]) -> list[str]:
    return [unicodedata.normalize(NORMALIZATION, text) for text in texts]
