"""A run again, from its record: the arguments that it had, and what is otherwise here than it was there."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Collection
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, plain
from emo_hf.errors import UserError
from emo_hf.models.parents import OF_PARENT
from emo_hf.storage.record import RECORD_FILE, SCHEMA
from emo_hf.training.loaded import load_data

logger = logging.getLogger(__name__)

FOLDER = "runs/again"
# Where the run stood and how it was started, which the same run elsewhere does not share.
_OF_THE_START = frozenset(("output_dir", "run_name", "resume_from_checkpoint", "push_to_hub", "logging_dir"))
_DECIDE = ("torch", "transformers", "accelerate", "numpy", "python")


def read_again(path: str | Path) -> dict[str, Any]:
    """The record in a file, or in the folder of a run.

    Raises:
        UserError: it can't be read, or is no record of a model's run, or of another schema.
    """
    path = Path(path)
    path = path / RECORD_FILE if path.is_dir() else path
    advice = f"give the {RECORD_FILE} of a run, or its folder"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        schema, parts = record["schema"], record["arguments"]
    except FileNotFoundError:
        raise UserError(f"--from_record {path}: there is no such file; {advice}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--from_record {path}: not readable as a record ({type(error).__name__}); {advice}") from None
    if schema != SCHEMA:
        raise UserError(f"--from_record {path}: its schema is {schema!r}; this version reads {SCHEMA}; {advice}")
    if record.get("kind") != "model" or set(parts) != {"model", "data", "training"}:
        raise UserError(f"--from_record {path}: a {record.get('kind')} was not trained by train.py; {advice}")
    return record


def settings_of(record: dict[str, Any], named: Collection[str] = ()) -> dict[str, Any]:
    """The arguments of a record by name, as a config file has them, where they are not the defaults of this machine.

    The run's folder is a new one, `runs/again/…`. The arguments `named` are given otherwise.

    Raises:
        UserError: an argument that this version does not have.
    """
    usual = {
        "model": vars(ModelArguments()),
        "data": vars(DataArguments()),
        "training": plain(MetricTrainingArguments()),
    }
    found = {
        name: value
        for part, values in record["arguments"].items()
        for name, value in values.items()
        if name not in _OF_THE_START and (name not in usual[part] or usual[part][name] != value)
    }
    known = {f.name for cls in (ModelArguments, DataArguments, MetricTrainingArguments) for f in fields(cls) if f.init}
    if unknown := sorted(set(found) - known):
        raise UserError(f"--from_record: the record has {unknown[0]!r}, which this version does not know; use its own")
    if commit := record["model"].get("encoder_commit"):
        found["encoder_revision"] = commit
        own = record["model"]["encoder"]
        if own in found.get("unseen_by", []):
            found["unseen_by"] = [f"{own}@{commit}" if name == own else name for name in found["unseen_by"]]
    for name in {"encoder", "data"} & set(named):  # another one, of which the revision is none
        found.pop(f"{name}_revision", None)
    if {"encoder", "init_from"} & set(named):  # another start, of which nothing of the record's own holds
        for name in ("encoder", "encoder_revision", "init_from", "unseen_by"):
            found.pop(name, None)
    if "init_from" in named:
        for name in OF_PARENT:
            found.pop(name, None)
    return found | {"output_dir": f"{FOLDER}/{record['run_id']}"}


def check_same(record: dict[str, Any], data: DataArguments, world_size: int, named: Collection[str] = ()) -> None:
    """Take the number of threads that the run had, and see that its data are those of the record.

    Of what else may move the last digits a warning tells: other versions, another number of processes. Arguments of
    the data among those `named` on the command line ask for other data.

    Raises:
        UserError: other data under the same arguments.
    """
    there = record["hardware"]
    if there.get("device", "").startswith("cpu") and isinstance(there.get("threads"), int):
        torch.set_num_threads(there["threads"])
    other = [f"{name} {old}, here {new}" for name, old, new in _versions(record) if old != new]
    if there.get("processes") != world_size:
        start = f"torchrun --nproc_per_node {there.get('processes')}"
        other.append(f"{there.get('processes')} processes, here {world_size} ({start} starts as many)")
    if other:
        logger.warning("the record was made with %s: scores may differ", "; ".join(other))
    fingerprint = record["data"]["fingerprint"] if "data" in record else None
    if fingerprint is None or set(vars(data)) & set(named):
        return
    if {"encoder", "init_from"} & set(named):  # of which other rows may be left out than of those to score on there
        if "seen_before" in record["data"]["report"]:
            return
        data = replace(data, unseen_by=[])
    if (found := load_data(data).fingerprint) != fingerprint:
        raise UserError(
            f"--from_record: {data.source} holds other data than the record's run had (fingerprint {found[:12]}, in "
            f"the record {fingerprint[:12]}); give the files of then, or --data {data.source} to train on those of now"
        )


def _versions(record: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    old = record.get("versions", {})
    new = {name: platform.python_version() if name == "python" else metadata.version(name) for name in _DECIDE}
    return [(name, old.get(name), new[name]) for name in _DECIDE]
