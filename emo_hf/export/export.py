"""A run in other formats: plain transformers, sentence-transformers, ONNX, also with int8 weights, tables of numpy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import AutoTokenizer

from emo_hf.errors import UserError
from emo_hf.export.formats import write_onnx, write_sentence_transformers, write_transformers
from emo_hf.export.int8 import quantize
from emo_hf.export.measurement import ROUNDS, measure, run_data
from emo_hf.export.readme import card
from emo_hf.export.static import write_static
from emo_hf.inference.backends import load_model, thresholds_of
from emo_hf.models.configuration import StaticConfig
from emo_hf.models.folders import cant_load, check_model_folder
from emo_hf.storage.files import settle, write_whole
from emo_hf.storage.record import now, read_record

EXPORT_FILE = "export.json"
_WRITERS = {
    "transformers": write_transformers,
    "sentence-transformers": write_sentence_transformers,
    "onnx": write_onnx,
    "onnx-int8": write_onnx,  # and then its weights in int8
    "static": write_static,
}
FORMATS = tuple(_WRITERS)
_PACKAGES = ("emo-hf", "torch", "transformers", "sentence-transformers", "onnx", "onnxruntime")


def export(
    model: str | Path,
    to: str,
    output: str | Path | None = None,
    *,
    progress: Callable[[str], object] = lambda step: None,
) -> Path:
    """Write a model in another format, checked against the model itself; return the folder.

    Args:
        model: folder or Hub id of a trained model.
        to: one of `FORMATS`.
        output: the folder; by default `runs/export/NAME_FORMAT`. An earlier export there is replaced as a whole.
        progress: is called with a line at each step that takes a while.

    Raises:
        UserError: a model that can't be loaded, a format that can't hold it, a folder that holds something else, a
            package that is missing, or results that differ from the model's.
    """
    if to not in FORMATS:
        raise UserError(f"--to is {to!r}; allowed: {', '.join(FORMATS)}")
    check_model_folder(model)
    source = _local(model)
    name = source.resolve().name if Path(model).is_dir() else str(model).split("/")[-1]
    target = Path(output or f"runs/export/{name}_{to}").resolve()
    _check_target(target)
    loaded, record = load_model(source).float(), read_record(source)
    data = run_data(record) if to == "onnx-int8" else None
    if isinstance(loaded.config.encoder, StaticConfig) and to in ("transformers", "sentence-transformers"):
        raise UserError(f"--to {to} knows no encoder without layers; --to static and --to onnx do")
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    longest = min(tokenizer.model_max_length, loaded.config.max_tokens or tokenizer.model_max_length)
    tokenizer.model_max_length = longest
    trained = record["arguments"]["data"]["max_length"] if record else 128
    about: dict[str, Any] = {
        "format": to,
        "model": name,
        "labels": loaded.config.labels,
        **({"thresholds": thresholds} if (thresholds := thresholds_of(loaded.config)) else {}),
        "pooling": loaded.config.pooling,
        **({"prefix": loaded.config.text_prefix} if loaded.config.text_prefix else {}),
        "max_length": min(trained, longest),
        "exported": now(),
        "versions": _versions(),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        building.mkdir()
        folder = building / "fp32" if data else building
        if data:
            progress("writing onnx, and comparing it with the model")
        about["fp32_check"] = _WRITERS[to](folder, loaded, tokenizer, about["max_length"])
        if data:
            progress("quantising the weights to int8")
            quantize(folder, building, data.splits["train"]["text"][:], about["max_length"])
            sentences = len(data.splits["test"])
            progress(f"measuring it on {sentences:,} test sentences, {ROUNDS + 1} times with each of 3 models")
            models = {"torch": source, "onnx": folder, "onnx-int8": building}
            about["measured"] = measure(models, data, about["max_length"])
            shutil.rmtree(folder)
        (building / "README.md").write_text(card(about), encoding="utf-8")
        write_whole(building / EXPORT_FILE, (json.dumps(about, ensure_ascii=False, indent=2) + "\n").encode())
        settle(building)
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _local(model: str | Path) -> Path:
    """The folder of a model, downloaded first if it is a Hub id."""
    if Path(model).is_dir():
        return Path(model)
    try:
        return Path(snapshot_download(str(model), ignore_patterns=["checkpoint-*"]))
    except (OSError, ValueError) as error:
        raise cant_load(model, error) from error


def _check_target(target: Path) -> None:
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not _is_export(target)):
        raise UserError(
            f"--output {target} holds something that is no export; give a new folder, an empty one, or one that an "
            "earlier export wrote"
        )


def _is_export(folder: Path) -> bool:
    try:
        return json.loads((folder / EXPORT_FILE).read_text(encoding="utf-8"))["format"] in FORMATS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package.replace("-", "_")] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package.replace("-", "_")] = None
    return found
