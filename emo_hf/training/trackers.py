"""Experiment trackers beside the record: whether one that is asked for is there, and what Trainer leaves to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from transformers import Trainer
from transformers.integrations import integration_utils

from emo_hf.errors import UserError

# Where the package of a tracker has another name; the first two are in our own extra.
_PACKAGES = {
    "tensorboard": "'emo-hf[trackers]'",
    "trackio": "'emo-hf[trackers]'",
    "azure_ml": "azureml-mlflow",
    "flyte": "flytekit",
}


def check_trackers(names: Sequence[str] | None) -> None:
    """Raise a `UserError` for a tracker that Trainer does not know, or that is not installed."""
    # Trainer's list leaves these two out, or one of them where MLflow is there.
    unlisted = {"azure_ml": integration_utils.is_azureml_available, "flyte": integration_utils.is_flytekit_available}
    for name in names or ():
        if name not in integration_utils.INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(integration_utils.INTEGRATION_TO_CALLBACK))
            raise UserError(f"--report_to is {name!r}; allowed: none, all, {known}")
        listed = integration_utils.get_available_reporting_integrations
        if not (unlisted[name]() if name in unlisted else name in listed()):
            raise UserError(f"--report_to {name}: it is not installed; pip install {_PACKAGES.get(name, name)}")


def finish_trackers(trainer: Trainer, embeddings: np.ndarray, columns: Mapping[str, Sequence[str]]) -> None:
    """Give TensorBoard's projector the test embeddings (N, D) with `columns` (N,), and end the run in Trackio.

    Only for a tracker that the trainer reports to.
    """
    if not trainer.is_world_process_zero():
        return
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, integration_utils.TensorBoardCallback):
            _project(Path(str(callback.logging_dir)), embeddings, columns)
    if "trackio" in (trainer.args.report_to or ()):
        import trackio

        if trackio.context_vars.current_run.get() is not None:
            trackio.finish()  # the test scores opened it again, after Trainer had closed it


def _project(folder: Path, embeddings: np.ndarray, columns: Mapping[str, Sequence[str]]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    # A row of the projector's table is a line, its cells are parted by tabs.
    rows = [[" ".join(cell.split()) for cell in row] for row in zip(*columns.values(), strict=True)]
    with SummaryWriter(str(folder), filename_suffix=".projector") as writer:
        writer.add_embedding(embeddings.astype(np.float32), metadata=rows, metadata_header=list(columns), tag="test")
