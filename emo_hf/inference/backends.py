"""A trained model on a device, by torch and transformers: texts to token ids, and these to logits and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedConfig

from emo_hf.evaluation.abstaining import promises_in
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.folders import cant_load, check_model_folder
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.prefix import prefix_in
from emo_hf.models.pretrained import is_path, reach_hub


def load_model(model: str | Path, *, revision: str = "main") -> EmotionModel:
    """The model of a run's folder or of a Hub id, in evaluation mode.

    Raises:
        UserError: if it can't be found or read, or is a checkpoint of something else.
    """
    check_model_folder(model)
    try:
        if not Path(model).is_dir():
            if is_path(str(model)):
                raise FileNotFoundError("there is no such folder")
            reach_hub(str(model), revision)
        kind = PreTrainedConfig.get_config_dict(model, revision=revision)[0].get("model_type")
        # `from_pretrained` itself would take any checkpoint and fill what it lacks with random weights.
        if kind is not None and kind != EmotionConfig.model_type:
            raise ValueError(f"it is a plain {kind} checkpoint, not a model that training saved")
        both: Any = EmotionModel.from_pretrained(
            model, revision=revision, use_safetensors=True, output_loading_info=True
        )
        loaded, found = both
        if missing := sorted(found["missing_keys"]):
            raise ValueError(f"its weights lack {len(missing)} tensors, as {missing[0]}")
        return loaded.eval()
    except Exception as error:  # any files may stand in a folder, cut off or made up
        raise cant_load(model, error) from error


class TorchBackend:
    """An `EmotionModel` on a device, by default an accelerator if there is one.

    Attributes: labels, in the order of the logits; thresholds (C,), from which probability on a sentence has a label,
    where it may have several, else None; promises, by name; prefix, which its tokenizer puts before every text;
    max_tokens, the longest sequence, or None; device; pieces, its tokenizer; workers, how many threads may ask for
    outputs at once.
    """

    workers = 1  # torch parts the work itself

    def __init__(self, model: str | Path, *, device: str | None = None, revision: str = "main"):
        self.model = load_model(model, revision=revision)
        self.device = torch.device(device or torch.accelerator.current_accelerator() or "cpu")
        self.model.to(self.device)  # type: ignore[arg-type]  # transformers wraps it and loses its types
        self.labels: list[str] = self.model.config.labels
        self.thresholds = thresholds_of(self.model.config)
        self.promises = promises_in(self.model.config.to_dict(), len(self.labels))
        self.prefix: str = self.model.config.text_prefix
        self.max_tokens: int | None = self.model.config.max_tokens
        self.pieces = TransformersPieces(model, revision=revision)

    @torch.inference_mode()
    def outputs(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """input_ids and attention_mask (B, L) -> logits (B, C) and embeddings (B, D) in fp32."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        found = self.model(**{name: torch.from_numpy(values).to(self.device) for name, values in given.items()})
        return found.logits.float().cpu().numpy(), found.embeddings.float().cpu().numpy()


class TransformersPieces:
    """The tokenizer of a model, of whichever class it is; attributes as of `Pieces`.

    Raises:
        UserError: if it can't be loaded, or has no vocabulary.
    """

    def __init__(self, model: str | Path, *, revision: str = "main"):
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
        except Exception as error:  # every class of tokenizer reads files of its own
            raise cant_load(model, error) from error
        if not set(self.tokenizer.get_vocab()) - set(self.tokenizer.all_special_tokens):
            raise cant_load(model, ValueError("its folder has no tokenizer.json, and every word would be unknown"))
        self.longest: int = self.tokenizer.model_max_length
        self.prefix = prefix_in(self.tokenizer)

    def ids(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """The token ids of N texts, of each at most `max_length`, special ones among them."""
        encoded = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=max_length,
            padding=False,
            return_token_type_ids=False,
            return_attention_mask=False,
        )
        found: list[list[int]] = encoded["input_ids"]
        return found

    def padded(self, rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and mask (B, L) of B rows of ids."""
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="np")
        return batch["input_ids"], batch["attention_mask"]

    def length(self, text: str) -> int:
        """Tokens of a text, special ones among them, uncut."""
        return len(self.tokenizer(text)["input_ids"])


def thresholds_of(config: PreTrainedConfig) -> list[float] | None:
    """From which probability on a sentence has a label (C,); None where each has one label, the likeliest."""
    if config.problem_type != "multi_label_classification":
        return None
    return list(getattr(config, "thresholds", None) or [0.5] * len(config.id2label or {}))
