"""A run that trained adapters, as a repository of the adapters alone: small, and loaded with peft onto its encoder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emo_hf.encoders import BUNDLED
from emo_hf.errors import UserError
from emo_hf.escaping import hub_id
from emo_hf.storage.files import read_object
from emo_hf.storage.record import ADAPTER_CONFIG_FILE, ADAPTER_FILE, ADAPTER_FOLDER

WHOLE = "model.safetensors"  # merged weights
PUSHES = ("merged", "adapter")
NAMES = (Path(ADAPTER_FILE).name, Path(ADAPTER_CONFIG_FILE).name)


def check_adapter(run_dir: Path, record: dict[str, Any]) -> dict[str, Any]:
    """What a card says of where the adapters of a run are loaded onto.

    Raises:
        UserError: a run without adapters, or one whose encoder others can't load.
    """
    if not all((run_dir / name).is_file() for name in (ADAPTER_FILE, ADAPTER_CONFIG_FILE)):
        raise UserError(f"--lora_push adapter: {run_dir} has none, for it was not trained with --lora; leave it out")
    model = record["model"]
    encoder = model["encoder"]
    bundled = encoder in BUNDLED
    if not bundled and hub_id(encoder) is None:
        raise UserError(
            f"--lora_push adapter: {run_dir} was trained on the encoder {encoder}, a folder that nobody else has; "
            "push merged weights"
        )
    stored = read_object(run_dir / ADAPTER_CONFIG_FILE) or {}
    return {
        "encoder": encoder,
        "bundled": bundled,
        "revision": stored.get("revision"),
        "ours": bool(model.get("parent")),
        "dtype": "bfloat16" if model["lora"]["weights"] == "bf16" else "float32",
    }


@contextlib.contextmanager
def adapter_repository(run_dir: Path) -> Iterator[Path]:
    """A folder with all of a run but its merged weights, which the adapters replace, until the end of the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in run_dir.iterdir():
            if path.is_file() and path.name != WHOLE and not path.name.startswith("."):
                shutil.copy(path, folder)
        for path in (run_dir / ADAPTER_FOLDER).iterdir():
            shutil.copy(path, folder)
        yield folder
