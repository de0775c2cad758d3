"""Encoders and tokenizers as they come from anywhere: nothing of theirs is run, and what does not fit is refused."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, is_offline_mode, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.encoders import BUNDLED, encoder_path, is_packed
from emo_hf.encoders.packed import PACKED
from emo_hf.errors import UserError, first_line, nearest
from emo_hf.models.configuration import EmotionConfig, StaticConfig
from emo_hf.models.endings import completed, ends_texts
from emo_hf.models.folders import WEIGHTS_FILE, check_start
from emo_hf.models.layouts import encoder_class, is_causal
from emo_hf.models.long_words import part_long_words
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.prefix import KEY, with_prefix
from emo_hf.storage.files import read_object

_WEIGHTS = (WEIGHTS_FILE, "model.safetensors.index.json")
_SECONDS = 10.0  # that the Hub has for an answer
_GIVE = (
    "give tiny-bert, tiny-roberta, static, a folder with config.json, weights and tokenizer, or a Hub id (which needs "
    "the network once)"
)
_NGRAMS, _WITH_NGRAMS = 4, ("tiny-bert", "tiny-roberta")  # what a small encoder gains most by
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def check_encoder(model: ModelArguments, data: DataArguments) -> None:
    """Look at all of an encoder but the numbers in its weights.

    Raises:
        UserError: no such encoder, weights that are missing or pickles, a tokenizer that is missing or another's, a
            max_length beyond the encoder's positions, `cls` pooling where no sequence starts with CLS.
    """
    folder = Path(encoder_path(model.encoder))
    check_start(folder)
    # A slip in a name of ours, which needs no network to be told; others of the Hub have an owner before a slash.
    near = nearest(model.encoder, [*BUNDLED, *PACKED], 0.8)
    if near and "/" not in model.encoder and not folder.is_dir():
        raise UserError(f"there is no encoder {model.encoder!r}; did you mean {near}?")
    if is_path(model.encoder) and not folder.is_dir():
        raise _not_found(model, FileNotFoundError("there is no such folder"))
    limit = _limit_of(model.encoder, model.encoder_revision, model.pooling, model.prefix, _files(model))
    if limit is not None and data.max_length > limit:
        raise UserError(f"--max_length is {data.max_length}, but {model.encoder} takes at most {limit} tokens")


def is_path(name: str) -> bool:
    """Whether a name can only be a folder's: a Hub id is a name, or an owner and a name."""
    return bool(re.match(r"[./~]", name)) or "\\" in name or name.count("/") > 1


@functools.lru_cache(maxsize=32)  # a study asks once for each of its models
def _limit_of(
    encoder: str, revision: str | None, pooling: str, prefix: str | None, files: tuple[tuple[str, int], ...]
) -> int | None:
    model = ModelArguments(encoder=encoder, encoder_revision=revision, pooling=pooling, prefix=prefix)
    found = _config(encoder, revision, files)
    if Path(encoder_path(encoder)).is_dir():
        check_weights(Path(encoder_path(encoder)), f"encoder {encoder!r}")
    _check_layout(found.encoder, model)
    _check_tokenizer(load_tokenizer(model), found.encoder, model)
    return found.max_tokens


def config_of(model: ModelArguments) -> EmotionConfig:
    """The configuration of what stands under an encoder's name: of a model of ours its own, else one around it.

    Raises:
        UserError: there is none, or none that can be read.
    """
    return _config(model.encoder, model.encoder_revision, _files(model))


def _files(model: ModelArguments) -> tuple[tuple[str, int], ...]:
    """The files of an encoder's folder with their times, by which a change of them is seen."""
    folder = Path(encoder_path(model.encoder))
    try:
        return tuple(sorted((p.name, p.lstat().st_mtime_ns) for p in folder.iterdir())) if folder.is_dir() else ()
    except OSError as error:
        raise _not_found(model, error) from error


@functools.lru_cache(maxsize=32)
def _config(encoder: str, revision: str | None, files: tuple[tuple[str, int], ...]) -> EmotionConfig:
    try:
        if not Path(encoder_path(encoder)).is_dir():
            reach_hub(encoder, revision)
        config: Any = AutoConfig.from_pretrained(
            encoder_path(encoder), revision=revision or "main", trust_remote_code=False
        )
        # By its type: one that brings its code along may be of another class.
        found = config if config.model_type == EmotionConfig.model_type else EmotionConfig(encoder=config)
        _ = found.max_tokens
    except Exception as error:  # any JSON may stand in config.json
        raise _not_found(ModelArguments(encoder=encoder, encoder_revision=revision), error) from error
    return found


def reach_hub(model: str, revision: str | None) -> None:
    """Try the Hub once for a model that is not stored here; its client would try six times, and say each of them.

    Raises:
        ConnectionError: no answer.
    """
    stored = try_to_load_from_cache(model, "config.json", revision=revision or "main")
    if is_offline_mode() or isinstance(stored, str):
        return
    try:
        HfApi().model_info(model, revision=revision, timeout=_SECONDS)
    except HfHubHTTPError:
        return  # an answer, and the client says best what is wrong with it
    except Exception as error:  # of the network
        raise ConnectionError(f"no such folder is here, and the Hub can't be reached: {first_line(error)}") from error


def check_weights(folder: Path, what: str) -> None:
    """Refuse a folder whose weights are missing, or pickles, which run what they hold when they are read."""
    if any((folder / name).is_file() for name in _WEIGHTS):
        return
    if found := next((path.name for pattern in _PICKLES for path in sorted(folder.glob(pattern))), None):
        raise UserError(
            f"{what} has its weights in {found} only, a pickle, which can run code when it is read; needed is "
            "model.safetensors: if you trust the file, load it with AutoModel.from_pretrained(FOLDER) in a Python of "
            "its own and write it with .save_pretrained(OTHER_FOLDER), or take a revision that has safetensors"
        )
    raise UserError(f"{what} has no weights; model.safetensors is missing from its folder; copy or download it again")


def load_tokenizer(arguments: ModelArguments, **settings: bool) -> PreTrainedTokenizerBase:
    """The tokenizer that stands beside the encoder, by its own class, never the model type's.

    It parts long words, has the token that pads and the one that ends a text, which a decoder's may lack, as
    `completed` says, and puts the prefix before every text. `settings` hold in place of those in its
    tokenizer_config.json.
    """
    tokenizer: PreTrainedTokenizerBase
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            encoder_path(arguments.encoder),
            revision=arguments.encoder_revision or "main",
            trust_remote_code=False,
            **settings,
        )
    except Exception as error:  # every class of tokenizer reads files of its own
        raise _not_found(arguments, error) from error
    if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):  # what is made where there are no files
        raise UserError(
            f"encoder {arguments.encoder!r} has no tokenizer; put tokenizer.json (or vocab.txt) and "
            "tokenizer_config.json of the same model into its folder"
        )
    tokenizer, prefix = completed(part_long_words(tokenizer), arguments.pooling), prefix_of(arguments)
    return with_prefix(tokenizer, prefix) if prefix or arguments.prefix is not None else tokenizer


def prefix_of(arguments: ModelArguments) -> str:
    """What is put before every text: what is asked for, else what the encoder was made with; empty for nothing."""
    if arguments.prefix is not None:
        return arguments.prefix
    if is_packed(arguments.encoder):
        return PACKED[arguments.encoder].prefix
    stored = stored_object(encoder_path(arguments.encoder), arguments.encoder_revision, "tokenizer_config.json")
    return str(stored.get(KEY) or "")


def ngrams_of(arguments: ModelArguments) -> int:
    """Letters of the longest n-grams beside the encoder: as asked for, else 4 beside a small one of ours; 0: none."""
    if arguments.ngrams is not None:
        return arguments.ngrams
    return _NGRAMS if _origin(arguments.encoder, arguments.encoder_revision) in _WITH_NGRAMS else 0


def with_ngrams(arguments: ModelArguments) -> dict[str, Any]:
    """The arguments by their names, with the n-grams that the model gets."""
    return asdict(arguments) | {"ngrams": ngrams_of(arguments)}


def _check_layout(config: PreTrainedConfig, model: ModelArguments) -> None:
    """Refuse what is no encoder of text, and a pooling that takes what an encoder has not."""
    if config.model_type == StaticConfig.model_type:
        if model.pooling != "mean":
            raise UserError(
                f"--pooling is {model.pooling}, but {model.encoder} knows only the mean of its pieces; use --pooling "
                "mean"
            )
        return
    try:
        encoder_class(config)
        with torch.device("meta"):  # modules without numbers
            causal = model.pooling == "cls" and is_causal(AutoModel.from_config(config))
    except Exception as error:  # sizes that no module has
        raise UserError(f"encoder {model.encoder!r}: {first_line(error)}") from error
    if causal:
        raise UserError(
            f"--pooling cls takes the state of the first token, which sees no other in {model.encoder!r}, a causal "
            f"{config.model_type}; use --pooling last or mean"
        )


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig, model: ModelArguments) -> None:
    # Gemma 3's has one for pictures that stands beyond the vocabulary of its models of text.
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    largest = max(index for piece, index in tokenizer.get_vocab().items() if piece not in special)
    known = getattr(config, "vocab_size", None)
    if known is not None and largest >= known:
        raise UserError(
            f"encoder {model.encoder!r} knows {known:,} tokens, but the tokenizer beside it counts up to "
            f"{largest + 1:,}: it is another model's; take both from one model"
        )
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"encoder {model.encoder!r}: its tokenizer has no padding token, so no batch can be made; name one as "
            "pad_token in its tokenizer_config.json"
        )
    first = (tokenizer("가")["input_ids"] or [None])[0]
    if model.pooling == "cls" and (tokenizer.cls_token_id is None or first != tokenizer.cls_token_id):
        raise UserError(
            f"--pooling cls takes the state of a CLS token, but the tokenizer of {model.encoder!r} starts no text "
            "with one; use --pooling mean"
        )
    if model.pooling == "last" and not ends_texts(tokenizer):
        raise UserError(
            f"--pooling last takes the state of the token that ends a text, but the tokenizer of {model.encoder!r} "
            "has none; name one as eos_token in its tokenizer_config.json, or use --pooling mean"
        )


def build_model(arguments: ModelArguments, labels: Sequence[str], *, multi_label: bool = False) -> EmotionModel:
    """A model with a pre-trained encoder and a fresh head; with `init_from`, with all of the head that fits."""
    try:
        if arguments.init_from:
            whole = EmotionModel.from_whole(arguments.encoder, revision=arguments.encoder_revision or "main")
            return whole.going_on(
                labels=labels, embedding_dropout=arguments.embedding_dropout, multi_label=multi_label
            )
        return EmotionModel.from_encoder(
            encoder_path(arguments.encoder),
            labels=labels,
            pooling=arguments.pooling,
            embedding_size=arguments.embedding_size,
            embedding_dropout=arguments.embedding_dropout,
            multi_label=multi_label,
            ngrams=(ngrams := ngrams_of(arguments)),
            text_prefix=prefix_of(arguments),
            tokenizer=load_tokenizer(arguments) if ngrams else None,
            revision=arguments.encoder_revision or "main",
        )
    except torch.OutOfMemoryError:
        raise
    except OSError as error:
        raise _not_found(arguments, error) from error
    except Exception as error:  # sizes that no tensor has, weights that are cut off, kinds that aren't encoders
        raise UserError(f"encoder {arguments.encoder!r}: {first_line(error)}") from error


def default_learning_rate(model: ModelArguments | PreTrainedConfig, *, adapted: bool = False) -> float:
    """The learning rate where none is given, by the lineage of the encoder: a small one, of ours, takes a larger.

    Adapters of low rank take ten times that of the whole encoder, whatever their rank (Schulman et al. 2025, "LoRA
    Without Regret"), but for a small one, whose head would not bear it. `adapted` says of a configuration whether it
    is of a model with adapters.
    """
    if isinstance(model, ModelArguments):
        small, adapted = of_bundled(model.encoder, model.encoder_revision), bool(model.lora)
    else:
        small = getattr(getattr(model, "encoder", model), "base_encoder", None) in BUNDLED
    whole, adapters = (5e-4, 2e-3) if small else (3e-5, 3e-4)
    return adapters if adapted else whole


def of_bundled(encoder: str, revision: str | None = None) -> bool:
    """Whether an encoder is a bundled one, or a model that was trained from one, by what is stored here."""
    return _origin(encoder, revision) in BUNDLED


def _origin(encoder: str, revision: str | None) -> Any:
    """The encoder that another was first trained from, as it tells, else its record; of a bundled one itself."""
    if encoder in BUNDLED:
        return encoder
    stored = stored_object(encoder, revision, "config.json")
    inside = stored.get("encoder")
    base = (inside if isinstance(inside, dict) else stored).get("base_encoder")
    if base is not None:
        return base
    # Of a run from before encoders told their origin the record does.
    of_run = stored_object(encoder, revision, "record.json").get("model")
    return of_run.get("encoder") if isinstance(of_run, dict) else None


def stored_object(model: str, revision: str | None, name: str) -> dict[str, Any]:
    """A JSON file of a model, of its folder or as the Hub's client has stored it; empty where there is none."""
    path = Path(model) / name
    if not Path(model).is_dir():
        if is_path(model):
            return {}
        found = try_to_load_from_cache(model, name, revision=revision or "main")
        path = Path(found) if isinstance(found, str) else path
    return read_object(path) or {}


def hub_commit(model: str, revision: str | None) -> str | None:
    """The commit of a Hub model as it is stored here, for its branch may move; None for a folder."""
    if Path(encoder_path(model)).is_dir() or is_path(model):
        return None
    found = try_to_load_from_cache(model, "config.json", revision=revision or "main")
    return Path(found).parent.name if isinstance(found, str) else None  # snapshots stand under their commit


def _not_found(arguments: ModelArguments, error: Exception) -> UserError:
    if "contains custom code" in str(error):
        return UserError(
            f"encoder {arguments.encoder!r} needs code from its own repository, and no foreign code is run here; give "
            "an encoder of a type that transformers has, as bert or roberta"
        )
    return UserError(f"encoder {arguments.encoder!r} can't be loaded ({first_line(error)}); {_GIVE}")
