"""Folders that hold a model, and those given in its place: of a study, a baseline, an export, a stopped run."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from emo_hf.errors import UserError, first_line
from emo_hf.storage.files import read_object
from emo_hf.storage.record import RECORD_FILE, read_record, read_records

ONNX_FILE, WEIGHTS_FILE = "model.onnx", "model.safetensors"
_ALONE = (
    "adapters of LoRA and no encoder; end its run with --resume_from_checkpoint last and the arguments that it was "
    "started with, and give its folder"
)
PIECES_FILE, EMBEDDINGS_FILE = "pieces.npy", "piece_embeddings.npy"  # of a static export
# Of its character n-grams, if it has any.
LETTERS_FILE, NGRAMS_FILE, NGRAM_EMBEDDINGS_FILE = "letters.npy", "ngrams.npy", "ngram_embeddings.npy"
_EXPORTS = {ONNX_FILE: "an ONNX export", PIECES_FILE: "a static export"}


def is_static_export(model: str | Path) -> bool:
    """Whether a folder holds tables that are read without torch."""
    return (Path(model) / PIECES_FILE).is_file()


def is_onnx_export(model: str | Path) -> bool:
    """Whether a folder holds a graph for onnxruntime."""
    return (Path(model) / ONNX_FILE).is_file()


def check_model_folder(model: str | Path) -> None:
    """Refuse the folder of a study, or of a baseline's run, with the name of a run that holds a model if there is one.

    Raises:
        UserError: where one of those is given in place of a run, or adapters alone.
    """
    folder = Path(model)
    _refuse_adapters(folder)
    if not folder.is_dir() or any((folder / name).exists() for name in (WEIGHTS_FILE, *_EXPORTS)):
        return
    if next(folder.glob(f"*/{RECORD_FILE}"), None):
        raise UserError(f"{model} is a study, a folder of runs; {_instead(folder)}")
    record = read_record(folder) or {}
    if record.get("kind") == "baseline":
        raise UserError(f"{model} is the run of a baseline, which has no model; {_instead(folder.parent)}")


def check_start(model: str | Path) -> None:
    """As `check_model_folder`, and refuse what holds a model that can't be trained on: an export, a stopped run.

    Raises:
        UserError: names what to give in its place.
    """
    check_model_folder(model)
    folder = Path(model)
    exported = next((kind for name, kind in _EXPORTS.items() if (folder / name).exists()), None)
    if exported and not (folder / WEIGHTS_FILE).exists():
        of = (read_object(folder / "export.json") or {}).get("model")
        raise UserError(
            f"{model} is {exported}, which can't be trained on; give the folder of the run that it was made of"
            + (f", {of}" if of else "")
        )
    record = read_record(folder) or {}
    if record.get("kind") == "model" and not (folder / WEIGHTS_FILE).exists():
        checkpoint = record.get("checkpoint")
        held = isinstance(checkpoint, str) and (folder / checkpoint / WEIGHTS_FILE).exists()
        if held and _holds_adapters(folder / str(checkpoint)):
            way_out = f"its checkpoints hold {_ALONE}"
        else:
            way_out = f"give its checkpoint, {folder / str(checkpoint)}" if held else "give one that has"
        raise UserError(f"{model} is a run that has not ended ({record.get('status')}), and holds no model; {way_out}")


def _refuse_adapters(folder: Path) -> None:
    if (folder / "adapter_config.json").exists() and not (folder / WEIGHTS_FILE).exists():
        raise UserError(
            f"{folder} is a LoRA adapter, which is no model without its encoder; give the folder of the run that it "
            "is of, or load it with peft as its README.md says"
        )
    if folder.name.startswith("checkpoint-") and _holds_adapters(folder):
        raise UserError(f"{folder} holds {_ALONE}")


def _holds_adapters(checkpoint: Path) -> bool:
    """Whether a checkpoint has what a run by --lora trained, and not the encoder that it left frozen."""
    try:
        with safe_open(checkpoint / WEIGHTS_FILE, framework="numpy") as file:
            return any(".lora_A." in name for name in file.keys())  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError):
        return False


def cant_load(model: str | Path, error: Exception) -> UserError:
    """One line about a model that can't be used."""
    return UserError(
        f"model {str(model)!r} can't be loaded ({first_line(error)}); give the folder of a run, as "
        "runs/train/…, or a Hub id (which needs the network once)"
    )


def _instead(study: Path) -> str:
    """Which run of a study to give: of those that hold a model the one with the best validation score."""
    found = [record for record in read_records(study) if (record["directory"] / WEIGHTS_FILE).exists()]
    if not found:
        return "give the folder of a run that holds a model, which none of this study does"
    best = max(found, key=lambda record: record.get("best", {}).get("validation_macro_f1", 0.0))
    return f"give the folder of one run, as {best['directory']}, the best of them by validation macro-F1"
