"""The run that a run starts from: what it decides, what the record says of it, and which texts it has seen."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import hf_hub_download

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.encoders import BUNDLED, is_packed
from emo_hf.errors import UserError
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.folders import check_start
from emo_hf.models.prefix import KEY
from emo_hf.models.pretrained import config_of, is_path, reach_hub, stored_object
from emo_hf.storage.files import read_object
from emo_hf.storage.record import RECORD_FILE, TEXTS_FILE, read_texts

DEFAULTS = {f.name: f.default for f in fields(ModelArguments)}
OF_PARENT = ("pooling", "embedding_size", "ngrams", "prefix")  # what it decides, beside the encoder
_IN_CONFIG = {"prefix": KEY}  # under which other name its configuration has it


@dataclass(frozen=True)
class Parent:
    """A run that another starts from, or whose training texts another may not be tested on.

    Attributes: name, as it is given; of its record run_id, fingerprint of its data, split_seed; commit of a Hub
    model; texts, hashes of what it and its own parents were trained on (N,), None where it keeps none; whole, whether
    nothing is missing from them.
    """

    name: str
    run_id: str | None = None
    fingerprint: str | None = None
    split_seed: int | None = None
    commit: str | None = None
    whole: bool = False
    texts: np.ndarray | None = field(default=None, compare=False)
    digest: int | None = None  # of the texts, which are compared by it

    def summary(self) -> dict[str, Any]:
        """What the record of a child says."""
        said = {"from": self.name, "run_id": self.run_id, "data_fingerprint": self.fingerprint, "commit": self.commit}
        return {name: value for name, value in said.items() if value is not None}


def settled(
    model: ModelArguments, data: DataArguments, named: Collection[str] = (), arms: Sequence[str] = ()
) -> tuple[ModelArguments, DataArguments]:
    """The arguments with what a run decides that they start from.

    With `init_from` the encoder is that run, and pooling and embedding size are its own. The training texts of a run
    that they start from, or that one of the `arms` (encoders) of a comparison does, are to be left out of the rows
    that all arms are scored on. `named` are the arguments that somebody gave a value.

    Raises:
        UserError: `init_from` is no run, or is contradicted by another argument.
    """
    if model.init_from:
        model = _of_parent(model, named)
    given = list(data.unseen_by)
    for encoder in dict.fromkeys([model.encoder, *arms] if model.init_from or not arms else arms):
        name = own_name(replace(model, encoder=encoder))
        if name not in given and is_ours(encoder, model.encoder_revision):
            given.append(name)
    return model, replace(data, unseen_by=given)


def own_name(model: ModelArguments) -> str:
    """What an encoder goes by as the parent of a run: a folder, or `owner/name`, with `@revision` if one is given."""
    at = f"@{model.encoder_revision}" if model.encoder_revision and not Path(model.encoder).is_dir() else ""
    return f"{model.encoder}{at}"


def _of_parent(model: ModelArguments, named: Collection[str]) -> ModelArguments:
    source = str(model.init_from)
    if model.encoder != source and (model.encoder != DEFAULTS["encoder"] or "encoder" in named):
        raise UserError(
            f"--init_from {source} brings its own encoder, but --encoder is {model.encoder}; leave one of them out"
        )
    model = replace(model, encoder=source)
    if source in BUNDLED or is_packed(source):
        raise UserError(f"--init_from {source}: it is an encoder alone, with no head to keep; use --encoder {source}")
    if is_path(source) and not Path(source).is_dir():
        raise UserError(f"--init_from {source}: there is no such folder; give that of a run, or a Hub id")
    check_start(source)
    config = config_of(model)
    if config.model_type != EmotionConfig.model_type or not is_ours(source, model.encoder_revision):
        raise UserError(f"--init_from {source}: it is no model that train.py saved; use --encoder {source}")
    for name in OF_PARENT:
        own, asked = getattr(config, _IN_CONFIG.get(name, name)), getattr(model, name)
        if asked is not None and asked != own and (asked != DEFAULTS[name] or name in named):
            if name == "prefix":  # whose spaces, and whether there is one, have to be seen
                own, asked = repr(own), repr(asked)
            raise UserError(
                f"--{name} is {asked}, but the model of --init_from {source} has {own}; leave --{name} out, or take "
                f"its encoder alone: --encoder {source}"
            )
        model = replace(model, **{name: own})
    return model


def is_ours(encoder: str, revision: str | None = None) -> bool:
    """Whether a model of ours stands under the name of an encoder; False too where nothing can be read."""
    if encoder in BUNDLED or is_packed(encoder):
        return False
    stored = stored_object(encoder, revision, "config.json")
    if not stored and not Path(encoder).is_dir() and not is_path(encoder):
        with contextlib.suppress(Exception):  # of the network; the check of the encoder says which
            reach_hub(encoder, revision)
            hf_hub_download(encoder, "config.json", revision=revision)
            stored = stored_object(encoder, revision, "config.json")
    return stored.get("model_type") == EmotionConfig.model_type


def parent_of(name: str) -> Parent:
    """What is known of a run, by its folder, the folder of one of its checkpoints, or `owner/name@revision`.

    Raises:
        UserError: there is no such run.
    """
    folder = Path(name)
    if not folder.is_dir():
        repo, _, revision = name.partition("@")
        if not is_ours(repo, revision or None):
            raise UserError(
                f"--unseen_by {name}: there is no such run, in a folder or on the Hub; give a run whose training "
                "texts are to be left out"
            )
        return _on_hub(repo, revision or None)
    if folder.name.startswith("checkpoint-") and not (folder / RECORD_FILE).exists():
        folder = folder.absolute().parent
    changed = tuple(path.stat().st_mtime_ns for path in (folder / RECORD_FILE, folder / TEXTS_FILE) if path.exists())
    return _read(name, folder / RECORD_FILE, folder / TEXTS_FILE, None, changed)


@functools.lru_cache(maxsize=32)
def _on_hub(repo: str, revision: str | None) -> Parent:
    found: dict[str, Path] = {}
    commit = None
    for file in (RECORD_FILE, TEXTS_FILE):
        with contextlib.suppress(Exception):  # it has none, or the Hub is out of reach
            found[file] = Path(hf_hub_download(repo, file, revision=revision))
            commit = found[file].parent.name  # snapshots stand under their commit
    return _read(f"{repo}@{revision}" if revision else repo, found.get(RECORD_FILE), found.get(TEXTS_FILE), commit, ())


@functools.lru_cache(maxsize=32)
def _read(
    name: str, record_file: Path | None, texts_file: Path | None, commit: str | None, changed: tuple[int, ...]
) -> Parent:
    record = (read_object(record_file) if record_file else None) or {}
    texts, whole = (read_texts(texts_file) if texts_file else None) or (None, False)
    return Parent(
        name=name,
        run_id=_of(record, str, "run_id"),
        fingerprint=_of(record, str, "data", "fingerprint"),
        split_seed=_of(record, int, "arguments", "data", "split_seed"),
        commit=commit,
        whole=whole,
        texts=texts,
        digest=None if texts is None else hash(texts.tobytes()),
    )


def _of(record: dict[str, Any], kind: type, *keys: str) -> Any:
    """What stands in a record, which may be anybody's, if it is of that kind."""
    found: Any = record
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, kind) else None
