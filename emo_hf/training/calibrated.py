"""The end of a training: what is fitted on validation rows, a temperature and thresholds, and put into the model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from transformers import Trainer

from emo_hf.evaluation.calibration import compared
from emo_hf.evaluation.temperature import Calibrated, calibrate, thresholds_at
from emo_hf.evaluation.thresholds import choose_thresholds, sigmoid
from emo_hf.training.outcome import Predicted, predict_in_order

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """What a model was given after its training: thresholds (C,), where rows may have several labels, temperatures.

    `calibrated` is None where none were asked for.
    """

    thresholds: np.ndarray | None
    calibrated: Calibrated | None
    rows: int

    def summary(self, tested: Predicted) -> dict[str, Any]:
        """What a record says of the temperatures, with the test rows before and after them."""
        found = self.calibrated
        if found is None:
            return {"method": "none"}
        before = tested.logits.astype(np.float64) * found.temperatures
        return {
            "method": "temperature",
            "temperatures": found.temperatures.tolist(),
            "validation": {"rows": self.rows, "loss_before": found.before, "loss_after": found.after},
            "test": compared(before, tested.logits, tested.labels),
        }


def fit_to_validation(trainer: Trainer, rows: datasets.Dataset) -> Fitted:
    """Choose thresholds on tokenized validation rows, then divide the logits of the model by what they ask for.

    The thresholds go along, so that no answer changes, only how sure it is.
    """
    model: Any = trainer.model
    args: Any = trainer.args
    several = model.config.multi_label
    asked = args.calibration != "none"
    if asked and trainer.is_fsdp_enabled:
        logger.warning("no temperature is fitted: FSDP parts the weights that it divides among the processes")
        asked = False
    if not asked and not several:
        return Fitted(None, None, len(rows))
    found = predict_in_order(trainer, rows)
    thresholds = choose_thresholds(sigmoid(found.logits), found.labels, args.thresholds) if several else None
    calibrated = calibrate(found.logits, found.labels) if asked else None
    if calibrated is not None and (calibrated.temperatures != 1).any():
        if thresholds is not None:
            thresholds = thresholds_at(thresholds, calibrated.temperatures)
        model.divide_logits(calibrated.temperatures.tolist())
    if thresholds is not None:
        model.config.thresholds = thresholds.tolist()
    return Fitted(thresholds, calibrated, len(rows))
