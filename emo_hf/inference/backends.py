"""What turns token ids into logits and embeddings: a trained model on a device, or an ONNX export of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig

from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import promises_in
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.folders import ONNX_FILE, cant_load, check_model_folder
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.prefix import KEY
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
    max_tokens, the longest sequence, or None; device.
    """

    def __init__(self, model: str | Path, *, device: str | None = None, revision: str = "main"):
        self.model = load_model(model, revision=revision)
        self.device = torch.device(device or torch.accelerator.current_accelerator() or "cpu")
        self.model.to(self.device)  # type: ignore[arg-type]  # transformers wraps it and loses its types
        self.labels: list[str] = self.model.config.labels
        self.thresholds = thresholds_of(self.model.config)
        self.promises = promises_in(self.model.config.to_dict(), len(self.labels))
        self.prefix: str = self.model.config.text_prefix
        self.max_tokens: int | None = self.model.config.max_tokens

    @torch.inference_mode()
    def outputs(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """input_ids and attention_mask (B, L) -> logits (B, C) and embeddings (B, D), fp32 on the CPU."""
        inputs = {"input_ids": input_ids.to(self.device), "attention_mask": attention_mask.to(self.device)}
        found = self.model(**inputs)
        return found.logits.float().cpu(), found.embeddings.float().cpu()


class OnnxBackend:
    """An ONNX export on the CPU, with as many threads as torch uses; attributes as in `TorchBackend`."""

    def __init__(self, folder: str | Path, *, device: str | None = None):
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"{folder} is an ONNX export, which needs onnxruntime; pip install onnxruntime, "
                "or give the folder of the run itself"
            ) from error
        if device not in (None, "cpu"):
            raise UserError(f"device is {device!r}, but the ONNX export {folder} computes on the CPU; leave it out")
        self.device = torch.device("cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            self.session = onnxruntime.InferenceSession(
                Path(folder) / ONNX_FILE, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own have no base class but this one
            raise cant_load(folder, error) from error
        self.labels: list[str] = [config.id2label[index] for index in range(config.num_labels)]
        self.thresholds = thresholds_of(config)
        self.promises = promises_in(config.to_dict(), len(self.labels))
        self.prefix: str = getattr(config, KEY, "")
        self.max_tokens = EmotionConfig(encoder=config).max_tokens

    def outputs(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """input_ids and attention_mask (B, L) -> logits (B, C) and embeddings (B, D)."""
        inputs = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()}
        logits, embeddings = self.session.run(["logits", "embeddings"], inputs)
        return torch.from_numpy(logits), torch.from_numpy(embeddings)


def thresholds_of(config: PreTrainedConfig) -> list[float] | None:
    """From which probability on a sentence has a label (C,); None where each has one label, the likeliest."""
    if config.problem_type != "multi_label_classification":
        return None
    return list(getattr(config, "thresholds", None) or [0.5] * len(config.id2label or {}))


def open_backend(
    model: str | Path, *, device: str | None = None, revision: str = "main"
) -> TorchBackend | OnnxBackend:
    """The backend of a run's folder, a Hub id, or the folder of an ONNX export.

    Raises:
        UserError: if the model can't be loaded, or onnxruntime is missing for an ONNX export.
    """
    if (Path(model) / ONNX_FILE).is_file():
        return OnnxBackend(model, device=device)
    return TorchBackend(model, device=device, revision=revision)
