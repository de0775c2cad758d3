"""The end of a training by adapters: they are kept beside the model, and merged into it."""

from __future__ import annotations

import json
from typing import Any

from safetensors.torch import save
from transformers import Trainer

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.arguments.lora import parse_lora
from emo_hf.errors import UserError
from emo_hf.models.lora import adapter_config, adapter_tensors, merge_lora
from emo_hf.models.pretrained import hub_commit
from emo_hf.storage.record import ADAPTER_CONFIG_FILE, ADAPTER_FILE


def refuse_shards(trainer: Trainer) -> None:
    """Refuse what parts the weights of a model among processes, none of which could merge them.

    Raises:
        UserError: under FSDP.
    """
    if trainer.is_fsdp_enabled:
        raise UserError(
            "--lora keeps a whole model in each process, but FSDP parts it among them; take another of "
            "recipes/accelerate, as multi_gpu.yaml: adapters need little memory"
        )


def merged(trainer: Trainer, arguments: ModelArguments) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Merge the adapters of a trained model, if it has any; their files, and what the record says of the model."""
    model: Any = trainer.model
    settings = parse_lora(arguments.lora)
    if settings is None:
        return {}, {}
    trained = model.num_parameters(only_trainable=True)
    revision = hub_commit(arguments.encoder, arguments.encoder_revision) or arguments.encoder_revision
    config = adapter_config(model, settings, arguments.encoder, revision)
    files = {
        ADAPTER_FILE: save(adapter_tensors(model), metadata={"format": "pt"}),
        ADAPTER_CONFIG_FILE: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode(),
    }
    merge_lora(model)
    return files, {"trained_parameters": trained}
