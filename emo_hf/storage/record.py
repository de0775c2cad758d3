"""The record of a run: one JSON file and its predictions, which every table and picture is built from."""

from __future__ import annotations

import functools
import io
import json
import logging
import math
import os
import platform
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.errors import UserError
from emo_hf.redaction import redacted
from emo_hf.storage.files import read_object, write_whole

logger = logging.getLogger(__name__)

SCHEMA = 1
RECORD_FILE = "record.json"
PREDICTIONS_FILE = "predictions.npz"
TEXTS_FILE = "train_texts.npz"  # hashes of what a run was trained on
# Of a run that trained adapters, beside its merged model: in a folder of their own, for transformers asks for peft
# wherever it meets an adapter_config.json.
ADAPTER_FOLDER = "adapter"
ADAPTER_FILE = f"{ADAPTER_FOLDER}/adapter_model.safetensors"
ADAPTER_CONFIG_FILE = f"{ADAPTER_FOLDER}/adapter_config.json"
STUDY_FILE = "study.json"  # of a study: the arguments that all its runs share
TRANSFER_FILE = "transfer.json"  # of a study of transfer: its corpora, and whose rows the predictions are of
TEST_FILE = "test.json"  # of a study: its test rows, in the order of all predictions
PLAIN_LOSSES = ("cross_entropy", "binary_cross_entropy")  # of a classifier of one label a row, and of several
# The scores of the test rows that a line has place for: of one label a row, and of several.
_SCORES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "loss": "loss"}
_SET_SCORES = {"macro_f1": "macro-F1", "micro_f1": "micro-F1", "mean_average_precision": "mAP", "loss": "loss"}
_PACKAGES = ("emo-hf", "torch", "transformers", "datasets", "evaluate", "accelerate", "scikit-learn", "numpy")


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment() -> dict[str, Any]:
    """Versions, commit and hardware of this process, for a record."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package.replace("-", "_")] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package.replace("-", "_")] = None
    hardware = {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    return {"versions": versions, "commit": _commit(), "hardware": hardware}


def merge_history(log_history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Trainer's log, one row an epoch: `train_…` and the parts of the loss beside `validation_…`."""
    rows: dict[float, dict[str, float]] = {}
    for entry in log_history:
        if "loss" in entry:
            found = {"train_loss": entry["loss"], "train_accuracy": entry.get("accuracy")}
            left_out = ("loss", "accuracy", "epoch", "step", "grad_norm")
            found |= {key: value for key, value in entry.items() if key not in left_out}
        elif "eval_loss" in entry:
            found = {
                key.replace("eval_", "validation_", 1): entry[key]
                for key in ("eval_loss", "eval_accuracy", "eval_macro_f1")
                if key in entry
            }
        else:
            continue
        rows.setdefault(entry["epoch"], {"epoch": entry["epoch"]}).update(
            {key: round(float(value), 6) for key, value in found.items() if value is not None and math.isfinite(value)}
        )
    return [rows[epoch] for epoch in sorted(rows)]


def write_record(run_dir: Path, record: dict[str, Any], predictions: dict[str, np.ndarray] | None = None) -> Path:
    """Write the predictions, if any, and then the record, without secrets: a completed one has its predictions.

    `predictions`: logits (N, C), labels (N,), embeddings (N, D) by name; see `load_predictions`.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    if predictions is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **predictions)  # type: ignore[arg-type]  # no array is named allow_pickle
        write_whole(run_dir / PREDICTIONS_FILE, buffer.getvalue())
        record = record | {"files": record.get("files", {}) | {"predictions": PREDICTIONS_FILE}}
    text = json.dumps(redacted(record), ensure_ascii=False, indent=2, sort_keys=False, allow_nan=False)
    return write_whole(run_dir / RECORD_FILE, (text + "\n").encode())


def read_record(run_dir: Path) -> dict[str, Any] | None:
    """The record of one run folder, or None if there is none that can be read."""
    return read_object(run_dir / RECORD_FILE)


def is_done(run_dir: Path, warn: bool = False) -> bool:
    """Whether a run has ended well and can be read; with `warn`, what is damaged is named."""
    record = read_record(run_dir)
    if record is None:
        damage = f"{run_dir / RECORD_FILE} is no readable record" if (run_dir / RECORD_FILE).exists() else None
    elif record.get("status") != "completed":
        return False
    elif _has_its_predictions(run_dir, record):
        return True
    else:
        damage = f"{run_dir / PREDICTIONS_FILE} is missing or damaged"
    if damage and warn:
        logger.warning("%s, so the run is due again", damage)
    return False


def _has_its_predictions(run_dir: Path, record: dict[str, Any]) -> bool:
    """Whether the predictions that a record names can be read; it may name none."""
    try:
        return "files" not in record or bool(load_predictions(record | {"directory": run_dir}))
    except (UserError, KeyError, TypeError):
        return False


@functools.cache  # of the code that this process has read
def _commit() -> str | None:
    """The commit of the checkout that this package is part of; None for an installed copy."""
    folder = Path(__file__).parent
    try:
        subprocess.run(
            ["git", "-C", str(folder), "ls-files", "--error-unmatch", Path(__file__).name],
            check=True,
            capture_output=True,
            timeout=10,
        )
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def holds_results(folder: Path) -> bool:
    """Whether a run or a study has written this folder, in which nobody keeps data."""
    return (folder / RECORD_FILE).exists() or (folder / STUDY_FILE).exists()


def read_records(study_dir: Path) -> list[dict[str, Any]]:
    """The completed records of a study, sorted by run_id, each with its folder under the key "directory".

    A file that can not be read as a record is skipped with one warning that names it.
    """
    records = []
    for path in sorted(Path(study_dir).glob("*/record.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            completed = record["status"] == "completed"
            record["run_id"]  # a record without its name is corrupt too
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s is not a readable record and is left out: %s", path, error)
            continue
        if completed:
            records.append(record | {"directory": path.parent})
    return sorted(records, key=lambda record: record["run_id"])


def readable_predictions(record: dict[str, Any], purpose: str) -> dict[str, np.ndarray] | None:
    """`load_predictions`, or None and one warning that the run is left out of `purpose`."""
    try:
        arrays = load_predictions(record)
        arrays["logits"], arrays["labels"]
    except (UserError, KeyError) as error:
        logger.warning("%s is left out of the %s: %s", record["run_id"], purpose, error)
        return None
    return arrays


def study_arguments(study_dir: Path) -> dict[str, Any]:
    """The arguments that all runs of a study share, by name; empty where the folder does not say."""
    try:
        content = json.loads((study_dir / STUDY_FILE).read_text(encoding="utf-8"))
        return {**content["model"], **content["data"], **content["training"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def load_predictions(record: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a run on the test set: logits (N, C), labels (N,) and, for models, embeddings (N, D).

    Raises UserError when the file is missing or damaged.
    """
    name = str(record["files"]["predictions"])
    path = Path(record["directory"]) / name
    if name != path.name:  # somebody else's record may name any file
        raise UserError(f"{path.parent}: its record names {name!r}, which is no file of its folder")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} can not be read ({error}); delete its folder and run the study again") from error


def texts_content(hashes: np.ndarray, whole: bool) -> bytes:
    """The file of the texts that a model was trained on: sorted 64-bit hashes (N,), of its parents' texts too.

    whole: whether those of all its parents are known.
    """
    buffer = io.BytesIO()
    np.savez(buffer, hashes=hashes.astype("<u8"), whole=np.array(whole))
    return buffer.getvalue()


def read_texts(path: Path) -> tuple[np.ndarray, bool] | None:
    """What `texts_content` has made: the hashes (N,) and whether they are all; None if it can't be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            hashes, whole = arrays["hashes"], bool(arrays["whole"])
            return (hashes.astype(np.uint64), whole) if hashes.ndim == 1 and hashes.dtype.kind == "u" else None
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def loss_name(kind: str, several: bool = False) -> str:
    """What a loss of the classifier is called: of one label a row "cross-entropy", else "binary cross-entropy"."""
    plain, of_sets = PLAIN_LOSSES
    kind = of_sets if several and kind == plain else kind
    return kind.replace("binary_", "binary ").replace("_", "-")


def classifier_loss(model: Mapping[str, Any]) -> str:
    """The classifier's loss of a record's model: "cross-entropy", "focal (focal_gamma=2, class_weights=sqrt)"."""
    own = dict(model.get("classifier_loss") or {})
    name = loss_name(str(own.pop("classification_loss", PLAIN_LOSSES[0])))
    options = ", ".join(f"{key}={f'{value:g}' if isinstance(value, float) else value}" for key, value in own.items())
    return f"{name} ({options})" if options else name


def adapters(model: Mapping[str, Any]) -> list[str]:
    """How a record's model was trained by adapters, as a list of one, "LoRA r=16"; empty without them."""
    lora = model.get("lora")
    if not isinstance(lora, dict):
        return []
    usual = {"alpha": 2 * lora.get("r", 0), "dropout": 0, "target": "all-linear", "weights": "fp32"}
    others = [f"{name}={value}" for name, value in lora.items() if name != "r" and value != usual.get(name)]
    return [" ".join([f"LoRA r={lora.get('r')}", *others])]


def _calibration(record: Mapping[str, Any]) -> list[str]:
    """A line about the temperatures of a run; none where none were asked for."""
    found = record.get("calibration") or {}
    if not (by := found.get("temperatures")):
        return []
    if all(value == 1 for value in by):
        return ["temperature: none lowers the validation loss"]
    low, high = min(by), max(by)
    said = f"temperature {low:.2f}" if len(by) == 1 else f"temperatures {low:.2f} to {high:.2f}"
    before, after = (found["test"][name] for name in ("before", "after"))
    return [
        f"{said}: test loss {before['loss'][0]:.3f} -> {after['loss'][0]:.3f}, "
        f"calibration error {100 * before['ece'][0]:.1f} -> {100 * after['ece'][0]:.1f} %"
    ]


def _promises(found: Mapping[str, Any]) -> list[str]:
    """A line about each promise of a run, and how it did on the test rows."""
    lines = []
    if abstention := found.get("abstention"):
        least, test = abstention["threshold"], abstention["test"]
        asked = f"at most {100 * abstention['max_error']:g} % of errors: "
        if least is None:
            lines.append(asked + "no threshold holds, so nothing is answered")
        else:
            errors = f"{100 * test['errors'][0]:.1f} % of them wrongly" if test["errors"] else "none of them wrongly"
            lines.append(
                f"{asked}answered from {least:.3f} on, {100 * test['answered'][0]:.1f} % of the test rows, {errors}"
            )
    if sets := found.get("label_sets"):
        test = sets["test"]
        held = f"{100 * test['coverage'][0]:.1f} % of the test rows have their label in them"
        lines.append(f"label sets of {100 * sets['coverage']:g} %: {held}; {test['labels']:.2f} labels in the mean")
    return lines


def summary(record: dict[str, Any]) -> str:
    """A few readable lines about a completed run."""
    model, test = record["model"], record["test"]
    loss = " + ".join([classifier_loss(model), *([model["aux"]] if model["aux"] != "none" else [])])
    width = max(len(label) for label in test["per_class"])
    classes = [
        f"  {label:<{width}}  precision {score['precision']:.3f}  recall {score['recall']:.3f}  F1 {score['f1']:.3f}"
        f"  ({score['support']} rows)"
        if score["support"]
        else f"  {label:<{width}}  no test row"
        for label, score in test["per_class"].items()
    ]
    scores = _SET_SCORES if "micro_f1" in test else _SCORES
    best = record["best"]
    epoch = f"epoch {best['epoch']:g}" if best else "last step"
    scored = "validation_macro_f1" in best
    encoder = ", ".join([model["name"], *adapters(model)])
    chosen = f"{epoch}, validation macro-F1 {best['validation_macro_f1']:.3f}" if scored else epoch
    return "\n".join(
        [
            f"{encoder}, {model['pooling']} pooling, {loss}, seed {record['seed']} ({chosen})",
            f"test: {', '.join(f'{name} {test[key]:.3f}' for key, name in scores.items())}",
            *_calibration(record),
            *_promises(record.get("promises") or {}),
            *classes,
            f"{record['wall_seconds']:.0f} s, record and model in {record['arguments']['training']['output_dir']}",
        ]
    )
