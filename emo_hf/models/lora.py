"""Low-rank adapters in the linear layers of a model's encoder: put in, kept apart from what is frozen, merged.

Nothing of it travels with a checkpoint: a merged model is one like any other, and needs no peft.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from emo_hf.arguments.lora import ALL_LINEAR, LoraSettings
from emo_hf.errors import UserError
from emo_hf.models.modeling import EmotionModel

if TYPE_CHECKING:
    from peft import LoraConfig

_ADAPTER = "default"  # peft's own name of the only one
_TARGET = "encoder."  # where an `EmotionModel` has what is adapted


def check_lora(encoder: PreTrainedConfig, settings: LoraSettings, name: str) -> None:
    """Find without weights what `add_lora` would refuse.

    Raises:
        UserError: peft is not installed, or the encoder, called `name`, has no layer that the settings name.
    """
    _peft()
    with torch.device("meta"):
        layers_of(AutoModel.from_config(encoder), settings.target, name)


def layers_of(encoder: nn.Module, target: Sequence[str], name: str) -> list[str]:
    """The linear layers of an encoder that a target names by their last name, or all of them.

    Raises:
        UserError: a name that no linear layer has; an encoder without any.
    """
    # A pooler that an encoder can't be made without has no part in what is trained.
    linear = [path for path, part in encoder.named_modules() if type(part) is nn.Linear and path[:7] != "pooler."]
    known = sorted({path.split(".")[-1] for path in linear})
    if not linear:
        raise UserError(f"--lora needs linear layers, but the encoder {name} has none; leave it out")
    if list(target) == [ALL_LINEAR]:
        return linear
    if unknown := [word for word in target if word not in known]:
        raise UserError(
            f"--lora target={','.join(target)}: {name} has no linear layer {unknown[0]}; allowed: {ALL_LINEAR}, or "
            f"some of {', '.join(known)}"
        )
    return [path for path in linear if path.split(".")[-1] in target]


def add_lora(model: EmotionModel, settings: LoraSettings) -> EmotionModel:
    """Freeze the encoder of a model and give its linear layers adapters, in place (Hu et al. 2021).

    A layer W then gives W x + (alpha / r) B A x, A drawn at random and B zero: the model starts as it was. Adapters
    and all above the encoder are trained, in fp32; what is saved while it trains has these alone. With weights in
    bf16 the encoder computes in bf16, and its states leave it in fp32.

    Raises:
        UserError: as `check_lora`.
    """
    _peft()
    from peft import inject_adapter_in_model

    encoder: Any = model.encoder
    targets = layers_of(encoder, settings.target, str(encoder.config.model_type))
    inject_adapter_in_model(_config(settings, targets), encoder)  # freezes all else
    if settings.weights == "bf16":
        for parameter in encoder.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
        for layer in [part for part in encoder.modules() if hasattr(part, "lora_A")]:
            # Else peft would keep a copy of each layer's input in fp32: a quarter of the memory of a step.
            layer.cast_input_dtype_enabled = False
            layer.lora_A[_ADAPTER].__class__ = layer.lora_B[_ADAPTER].__class__ = _InTypeOfInput
        encoder.register_forward_hook(_states_in_fp32)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    # Checkpoints leave them out, and Trainer does not miss them there; buffers beside the encoder stay.
    frozen = {name for name in model.state_dict() if name.startswith(_TARGET)} - trained
    model._keys_to_ignore_on_save = frozen
    return model


def is_adapted(model: nn.Module) -> bool:
    """Whether a model has adapters that are not merged."""
    return any(hasattr(part, "lora_A") for part in model.modules())


def trained_dtype(model: nn.Module) -> torch.dtype:
    """The type of what is trained of a model, where a frozen encoder may have another."""
    return next((p.dtype for p in model.parameters() if p.requires_grad), torch.float32)


def merge_lora(model: EmotionModel) -> EmotionModel:
    """Add each adapter to its layer's weight, in place: W + (alpha / r) B A, in fp32, whatever W was kept in.

    All of the encoder is in fp32 and trainable then, as if it had no adapters ever. Of bf16 weights the sum would lose
    what the adapters learned: a change below a 256th of a weight is none in bf16.
    """
    from peft.tuners.lora import LoraLayer

    encoder: Any = model.encoder
    for parameter in encoder.parameters():
        if parameter.dtype == torch.bfloat16:
            parameter.data = parameter.data.float()
    layers: list[tuple[str, Any]] = [
        (name, part) for name, part in encoder.named_modules() if isinstance(part, LoraLayer)
    ]
    for name, layer in layers:
        plain = layer.get_base_layer()
        with torch.no_grad():
            plain.weight += layer.get_delta_weight(_ADAPTER)
        encoder.set_submodule(name, plain)
    for key, hook in list(encoder._forward_hooks.items()):
        if hook is _states_in_fp32:
            del encoder._forward_hooks[key]
    del encoder.peft_config
    model._keys_to_ignore_on_save = set()
    return model.requires_grad_(True)


def adapter_tensors(model: EmotionModel) -> dict[str, Tensor]:
    """The adapters and all above the encoder, by the names that `PeftModel.from_pretrained` looks for."""
    frozen = model._keys_to_ignore_on_save or ()
    kept = {name: value for name, value in model.state_dict().items() if name not in frozen}
    return {
        f"base_model.model.{name.replace(f'.{_ADAPTER}.', '.')}": value.detach().cpu().contiguous()
        for name, value in kept.items()
    }


def adapter_config(model: EmotionModel, settings: LoraSettings, encoder: str, revision: str | None) -> dict[str, Any]:
    """What stands in adapter_config.json: peft loads the adapters into an `EmotionModel` on that encoder by it."""
    targets = [f"{_TARGET}{name}" for name, part in model.encoder.named_modules() if hasattr(part, "lora_A")]
    above = [name for name, part in model.named_children() if name != "encoder" and part.state_dict()]
    config = _config(settings, targets, modules_to_save=above, base_model_name_or_path=encoder, revision=revision)
    said = config.to_dict() | {"inference_mode": True, "peft_type": "LORA"}
    return {key: sorted(value) if isinstance(value, set) else value for key, value in said.items()}


def _config(settings: LoraSettings, targets: Sequence[str], **more: Any) -> LoraConfig:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # which it divides by r
        lora_dropout=settings.dropout,
        target_modules=list(targets),
        **more,
    )


class _InTypeOfInput(nn.Linear):
    """A linear layer whose weight is converted to the type of what goes into it, and not the other way round."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input, self.weight.to(input.dtype))


def _states_in_fp32(encoder: nn.Module, inputs: Any, output: Any) -> Any:
    output.last_hidden_state = output.last_hidden_state.float()
    return output


def _peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise UserError("--lora needs peft; pip install 'emo-hf[lora]'") from error
