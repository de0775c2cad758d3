"""Texts to tokens, once: a cache on disk that knows texts and tokenizers by what they hold, not by their paths."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import pyarrow as pa
from filelock import FileLock
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from emo_hf.data.loading import EmotionData
from emo_hf.data.several import zeros_and_ones
from emo_hf.errors import UserError
from emo_hf.storage.cache import cache_folder
from emo_hf.storage.files import settle

logger = logging.getLogger(__name__)

# Raise it when the stored tokens change for the same input: old files are then never read again.
CODE_VERSION = 3
NORMALIZATION: Literal["NFC"] = "NFC"
DIGEST_KEY = b"emo_hf.sha256"
BATCH = 4096  # rows that are tokenized at a time, on all cores


@dataclass(frozen=True)
class _Way:
    """How rows become tokens, whichever split they are of; `classes` is None where each row has one label."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    classes: int | None
    features: datasets.Features
    num_proc: int | None


def features_of(data: EmotionData) -> datasets.Features:
    """The columns of tokens: a class index a row, or zeros and ones for all labels, which any Trainer takes."""
    several = datasets.List(datasets.Value("uint8"), length=len(data.labels))
    return datasets.Features(
        {
            "input_ids": datasets.List(datasets.Value("int32")),
            "labels": several if data.multi_label else datasets.Value("int64"),
            "length": datasets.Value("int32"),
        }
    )


def tokenize_splits(
    data: EmotionData,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int = 128,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
) -> datasets.DatasetDict:
    """Tokenize every split, or take it from the cache; rows keep their order and are memory-mapped.

    Each row has input_ids (T,), T <= max_length and unpadded, labels (its class index, or zeros and ones (C,) where
    rows have several labels each) and length (= T). The processes of a run, and runs side by side, wait for the one
    that writes.

    Args:
        data: what `load_emotion_data` returned.
        tokenizer: any tokenizer of transformers.
        max_length: longer texts are cut; the tokenizer's own limit counts too.
        cache_dir: instead of $EMO_HF_CACHE, or `emo_hf` inside the cache of datasets.
        num_proc: processes that tokenize; None is this one, which is quick enough for 100,000 short texts.

    Raises:
        UserError: a max_length that leaves no room for text, or a cache folder that can't be written.
    """
    special = tokenizer.num_special_tokens_to_add(pair=False)
    if max_length <= special:
        raise UserError(f"max_length is {max_length}; {special} special tokens and a text need {special + 1} or more.")
    max_length = min(max_length, tokenizer.model_max_length)
    folder = cache_folder(cache_dir) / "tokens"
    identity = {
        "version": CODE_VERSION,
        "normalization": NORMALIZATION,
        "max_length": max_length,
        "tokenizer": _tokenizer_content(tokenizer),
    }
    way = _Way(tokenizer, max_length, len(data.labels) if data.multi_label else None, features_of(data), num_proc)
    if data.multi_label:
        identity["classes"] = way.classes
    shared = {name: _json(value) for name, value in identity.items()}  # once: of a vocabulary it takes long
    tokens = {}
    for name, split in data.splits.items():
        content = {**shared, "texts": _json(split["text"][:]), "labels": _json(split["label"][:])}
        said = ", ".join(f'"{part}": {content[part]}' for part in sorted(content))
        key = hashlib.sha256(f"{{{said}}}".encode()).hexdigest()
        tokens[name] = _cached(folder / f"{key}.arrow", split, way)
    return datasets.DatasetDict(tokens)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def tokenize_table(
    rows: pa.Table, tokenizer: PreTrainedTokenizerBase, max_length: int, classes: int | None = None
) -> pa.Table:
    """Tokenize rows with text and label; top-level, so that `datasets.map` can send it to processes.

    With `classes`, labels are lists of indices, which become as many zeros and ones.
    """
    texts = [unicodedata.normalize(NORMALIZATION, text) for text in rows["text"].to_pylist()]
    ids = _token_ids(texts, tokenizer, max_length)
    ends = np.cumsum([0, *map(len, ids)], dtype=np.int32)
    flat = np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int32, count=int(ends[-1]))
    labels = rows["label"]
    if classes is not None:
        several = zeros_and_ones(labels.to_pylist(), classes).ravel()
        labels = pa.FixedSizeListArray.from_arrays(pa.array(several), classes)
    input_ids = pa.ListArray.from_arrays(pa.array(ends), pa.array(flat))
    return pa.table({"input_ids": input_ids, "labels": labels, "length": pa.array(np.diff(ends))})


def _token_ids(texts: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[list[int]]:
    """What the tokenizer's own call gives, by a shorter way where it has no way of its own.

    That call keeps for every token its string, its place in the text, and a mask, of which none is asked for here.
    """
    how: dict[str, Any] = {
        "truncation": True,
        "max_length": max_length,
        "padding": False,
        "return_attention_mask": False,  # every token is real until a batch is padded
        "return_token_type_ids": False,  # zeros for single texts, and an error where type_vocab_size is 1
    }
    own, plain = type(tokenizer), PreTrainedTokenizerFast
    if not tokenizer.is_fast or own.__call__ is not plain.__call__ or own._encode_plus is not plain._encode_plus:
        return tokenizer(texts, **how)["input_ids"]
    tokenizer(texts[:1], **how)  # tells the backend where to cut, and whether special tokens in a text are text
    return [found.ids for found in tokenizer.backend_tokenizer.encode_batch_fast(texts)]


def _tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Everything that decides about the tokens; equal for the same tokenizer in another folder."""
    content: dict[str, Any] = {
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "special_ids": tokenizer.all_special_ids,
        "truncation_side": tokenizer.truncation_side,
    }
    if tokenizer.is_fast:
        backend = json.loads(tokenizer.backend_tokenizer.to_str())
        # Left over from the last call, not part of the tokenizer.
        content["backend"] = {name: value for name, value in backend.items() if name not in ("truncation", "padding")}
    else:
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
            content["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return content


def _cached(path: Path, split: datasets.Dataset, way: _Way) -> datasets.Dataset:
    if path.exists() and (found := _read(path, split, way)) is not None:  # no lock: the cache may be read-only
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):  # the lock of a killed process opens by itself
            if path.exists():  # written while we waited, or broken
                if (found := _read(path, split, way)) is not None:
                    return found
                logger.warning("the token cache %s is broken and is made again", path)
                path.unlink()
            _write(path, split, way)
    except OSError as error:
        raise UserError(
            f"the token cache {path.parent} can't be written ({error}); name a folder with EMO_HF_CACHE or cache_dir."
        ) from error
    return datasets.Dataset.from_file(str(path), split=split.split)


def _read(path: Path, split: datasets.Dataset, way: _Way) -> datasets.Dataset | None:
    """Return the stored tokens, or None where the file is not what was once written."""
    try:
        found = datasets.Dataset.from_file(str(path), split=split.split)
        with pa.memory_map(str(path)) as file:  # datasets keeps no metadata but its own
            stored = (pa.ipc.open_stream(file).schema.metadata or {}).get(DIGEST_KEY)
        labels = split["label"][:]
        if way.classes is not None:
            labels = zeros_and_ones(labels, way.classes).tolist()
        known = found.features == way.features and found["labels"][:] == labels
        return found if known and stored == _digest(found.data) else None
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None


def _digest(table: Any) -> bytes:
    """SHA-256 of all token ids and their places, so that a damaged block of the disk is no token."""
    digest = hashlib.sha256()
    for name in ("input_ids", "length"):
        for chunk in table.column(name).chunks:
            digest.update(np.asarray(chunk.flatten() if name == "input_ids" else chunk).tobytes())
    return digest.hexdigest().encode()


def _write(path: Path, split: datasets.Dataset, way: _Way) -> None:
    """Tokenize beside the final place, then move: a file that is there is whole."""
    scratch = Path(tempfile.mkdtemp(prefix="writing-", dir=path.parent))
    try:
        tokens = split.with_format("arrow").map(
            tokenize_table,
            batched=True,
            batch_size=BATCH,
            fn_kwargs={"tokenizer": way.tokenizer, "max_length": way.max_length, "classes": way.classes},
            features=way.features,
            cache_file_name=str(scratch / "part.arrow"),
            new_fingerprint=path.stem[:32],  # else datasets hashes the data, and never the same way twice
            load_from_cache_file=False,
            num_proc=way.num_proc,
            desc=f"Tokenizing {split.split}",
        )
        whole = scratch / "whole.arrow"
        schema = tokens.data.schema
        schema = schema.with_metadata({**(schema.metadata or {}), DIGEST_KEY: _digest(tokens.data)})
        with pa.OSFile(str(whole), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in tokens.data.to_batches():  # of several parts where several processes wrote
                stream.write_batch(batch.replace_schema_metadata(schema.metadata))
        settle(scratch)
        whole.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
