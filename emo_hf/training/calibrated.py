"""The end of a training: what is fitted on validation rows, temperature and thresholds, and put into the model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from transformers import Trainer

from emo_hf.evaluation.calibration import compared
from emo_hf.evaluation.promises import Abstention, LabelSets
from emo_hf.evaluation.temperature import Calibrated, at_temperature, calibrate, thresholds_at
from emo_hf.evaluation.thresholds import choose_thresholds, sigmoid
from emo_hf.training.outcome import Predicted, predict_in_order
from emo_hf.training.promised import HELD, kept, promise

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """What a model was given after its training: thresholds (C,), where rows may have several labels, temperatures.

    `calibrated` is None where none were asked for, and `promises` are empty.
    """

    thresholds: np.ndarray | None
    calibrated: Calibrated | None
    rows: int
    promises: dict[str, Abstention | LabelSets]

    def summary(self, tested: Predicted) -> dict[str, Any]:
        """What a record says of all this, with the test rows before and after the temperatures."""
        found: dict[str, Any] = {"calibration": {"method": "none"}}
        if (calibrated := self.calibrated) is not None:
            before = tested.logits.astype(np.float64) * calibrated.temperatures
            found["calibration"] = {
                "method": "temperature",
                "temperatures": calibrated.temperatures.tolist(),
                "validation": {"rows": self.rows, "loss_before": calibrated.before, "loss_after": calibrated.after},
                "test": compared(before, tested.logits, tested.labels),
            }
        if self.promises:
            found["promises"] = kept(self.promises, tested.logits, tested.labels)
        return found


def fit_to_validation(trainer: Trainer, tokens: datasets.DatasetDict) -> Fitted:
    """Choose thresholds on validation rows, then divide the logits of the model by what they ask for; promise last.

    The thresholds go along, so that no answer changes, only how sure it is. What is promised rests on the half of the
    validation rows that `halved` has kept.
    """
    model: Any = trainer.model
    args: Any = trainer.args
    rows = tokens["validation"]
    several = model.config.multi_label
    asked = args.calibration != "none"
    if asked and trainer.is_fsdp_enabled:
        logger.warning("no temperature is fitted: FSDP parts the weights that it divides among the processes")
        asked = False
    if not (asked or several or args.promising):
        return Fitted(None, None, len(rows), {})
    found = predict_in_order(trainer, rows, split="validation")
    thresholds = choose_thresholds(sigmoid(found.logits), found.labels, args.thresholds) if several else None
    calibrated = calibrate(found.logits, found.labels) if asked else None
    logits = found.logits
    if calibrated is not None and (calibrated.temperatures != 1).any():
        if thresholds is not None:
            thresholds = thresholds_at(thresholds, calibrated.temperatures)
        logits = at_temperature(logits, calibrated.temperatures)
        model.divide_logits(calibrated.temperatures.tolist())
    if thresholds is not None:
        model.config.thresholds = thresholds.tolist()
    promises: dict[str, Abstention | LabelSets] = {}
    if args.promising:
        held = predict_in_order(trainer, tokens[HELD], split=HELD)
        promises = promise(args, (logits, found.labels), (held.logits, held.labels))
        for name, made in promises.items():
            setattr(model.config, name, made.stored())
    return Fitted(thresholds, calibrated, len(rows), promises)
