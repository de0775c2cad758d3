"""Encoder, pooling, embedding, classifier in one `PreTrainedModel`. This file travels with every saved checkpoint."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import ModelOutput

from .configuration import BUILT_OF, EmotionConfig, StaticConfig
from .layouts import encoder_class, is_causal, is_told_places, places
from .ngrams import CharacterNgrams, letters_of
from .pooling import Pooler, begins_at_once
from .static import StaticEncoder


@dataclass
class EmotionOutput(ModelOutput):
    """loss (scalar, with labels only), logits (B, C), embeddings (B, D), and what was asked for.

    The loss is cross-entropy, or, of a model that gives several labels a row, `label_set_loss`.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    embeddings: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


def label_set_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The negative log-likelihood (scalar) of sets of labels (B, C), zeros and ones, as a mean over the rows.

    Each label is a decision of its own: binary cross-entropy, summed over the labels, so that it weighs beside a
    metric loss as the cross-entropy of one label does. `BCEWithLogitsLoss` divides that by C.
    """
    losses = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return losses.sum(-1).mean()


def _without_pooler(encoder_config: PreTrainedConfig) -> dict[str, bool]:
    """The arguments that keep an encoder from adding its own pooler, which has no pre-trained weights in RoBERTa."""
    takes = "add_pooling_layer" in inspect.signature(encoder_class(encoder_config)).parameters
    return {"add_pooling_layer": False} if takes else {}


def _encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """An encoder of random weights."""
    # By its name: of code that comes with a checkpoint, configuration and model each load a copy, with its classes.
    if config.model_type == StaticConfig.model_type:
        return StaticEncoder(config)
    made: PreTrainedModel = AutoModel.from_config(config, **_without_pooler(config))
    return made


def _problem(multi_label: bool) -> dict[str, Any]:
    """What a configuration is told: nothing where a row has one label, as ever."""
    return {"problem_type": "multi_label_classification"} if multi_label else {}


class EmotionModel(PreTrainedModel):
    """Sentence classifier with an embedding: encoder -> pooling -> dropout -> linear (B, D) -> linear (B, C).

    With character n-grams, the last dimensions of the embedding are their vector instead.

    `EmotionModel(config)` has random weights; `EmotionModel.from_encoder` starts from a pre-trained encoder;
    `EmotionModel.from_pretrained` loads what `save_pretrained` wrote.
    """

    config_class = EmotionConfig
    base_model_prefix = "emotion"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # Trainer would else leave out its division by the accumulation steps
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: EmotionConfig) -> None:
        super().__init__(config)
        if config.encoder.model_type == StaticConfig.model_type and config.pooling != "mean":
            raise ValueError(f"pooling is {config.pooling!r}, but a static encoder knows only a mean; use mean")
        self.encoder = _encoder(config.encoder)
        if config.pooling == "cls" and is_causal(self.encoder):
            raise ValueError(
                f"pooling is 'cls', the first token, which sees no other in a causal {config.encoder.model_type}; use "
                "last or mean"
            )
        self.pooler = Pooler(config.pooling, config.hidden_size)
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.ngrams = None
        if config.ngrams:
            self.ngrams = CharacterNgrams(
                config.ngrams, config.vocab_size, config.ngram_size, config.ngram_buckets, config.ngram_dropout
            )
        self.embedding = nn.Linear(config.hidden_size, config.embedding_size - config.ngram_size)
        self.classifier = nn.Linear(config.embedding_size, len(config.labels))
        self._takes = frozenset(inspect.signature(self.encoder.forward).parameters)
        self._has_token_types = getattr(config.encoder, "type_vocab_size", 0) > 1 and "token_type_ids" in self._takes
        self._is_told_places = is_told_places(self.encoder)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, CharacterNgrams):  # an n-gram that no text has held says nothing
            nn.init.zeros_(module.table.weight)

    @classmethod
    def from_encoder(
        cls,
        encoder: str,
        *,
        labels: Sequence[str],
        pooling: str = "cls",
        embedding_size: int = 256,
        embedding_dropout: float = 0.1,
        multi_label: bool = False,
        ngrams: int = 0,
        text_prefix: str = "",
        tokenizer: Any = None,
        **kwargs: Any,
    ) -> Self:
        """A model on a pre-trained encoder; everything above the encoder is new.

        Args:
            encoder: folder or Hub id that `AutoModel` loads; of an `EmotionModel` that stands there, its encoder.
            labels: label names in the order of the logits.
            pooling, embedding_size, embedding_dropout, ngrams, text_prefix: as in `EmotionConfig`.
            multi_label: whether a row may have several labels.
            tokenizer: that of the encoder; n-grams need the spelling of its pieces, nothing else does.
            kwargs: for `AutoModel.from_pretrained`, as `revision`.

        Raises:
            ValueError: as `EmotionConfig`, weights of another model, or n-grams without a tokenizer; OSError: if the
                encoder can't be found.
        """
        # Pickles and a repository's own code run whatever somebody wrote into them.
        kwargs = {"dtype": torch.float32, "use_safetensors": True, "trust_remote_code": False, **kwargs}
        names = ("revision", "cache_dir", "token", "local_files_only", "trust_remote_code")
        hub = {key: kwargs[key] for key in names if key in kwargs}
        encoder_config = AutoConfig.from_pretrained(encoder, **hub)
        whole = None
        if encoder_config.model_type == cls.config_class.model_type:
            whole = cls.from_whole(encoder, **kwargs)
            encoder_config = whole.config.encoder
        config = EmotionConfig(
            encoder=encoder_config,
            labels=list(labels),
            pooling=pooling,
            embedding_size=embedding_size,
            embedding_dropout=embedding_dropout,
            pad_token_id=encoder_config.pad_token_id,
            ngrams=ngrams,
            text_prefix=text_prefix,
            **_problem(multi_label),
        )
        model = cls(config)
        if model.ngrams is not None:
            if tokenizer is None:
                raise ValueError("ngrams need the spelling of the tokens; give tokenizer, that of the encoder")
            model.ngrams.letters.copy_(letters_of(tokenizer, config.vocab_size))
        if whole is not None:
            model.encoder = whole.encoder
            return model
        model.encoder, found = AutoModel.from_pretrained(
            encoder, config=encoder_config, output_loading_info=True, **_without_pooler(encoder_config), **kwargs
        )
        if missing := sorted(key for key in found["missing_keys"] if not key.startswith("pooler.")):
            raise ValueError(f"the weights lack {len(missing)} tensors, as {missing[0]}; they are another model's")
        return model

    @classmethod
    def from_whole(cls, model: str, **kwargs: Any) -> Self:
        """A saved model, as `from_pretrained` gives it, but none that is another's or lacks a tensor.

        Raises:
            ValueError: weights of another model; OSError: if it can't be found.
        """
        kwargs = {"dtype": torch.float32, "use_safetensors": True, **kwargs}
        both: Any = cls.from_pretrained(model, output_loading_info=True, **kwargs)
        found, info = both
        if missing := sorted(info["missing_keys"]):
            raise ValueError(f"its weights lack {len(missing)} tensors, as {missing[0]}; they are another model's")
        return found

    def going_on(
        self, *, labels: Sequence[str], embedding_dropout: float | None = None, multi_label: bool = False
    ) -> Self:
        """A model to train further: with this encoder, pooling and embedding layer, and labels of its own.

        Where they are the same labels, in any order, and as many a row, one or several, the classifier is kept, its
        rows in the order of `labels`; else it is new. What is kept is shared with this model, not copied.
        """
        own = self.config
        dropout = own.embedding_dropout if embedding_dropout is None else embedding_dropout
        model = type(self)(
            EmotionConfig(
                **{name: getattr(own, name) for name in BUILT_OF},
                labels=list(labels),
                embedding_dropout=dropout,
                pad_token_id=own.encoder.pad_token_id,
                **_problem(multi_label),
            )
        )
        model.encoder, model.pooler, model.embedding = self.encoder, self.pooler, self.embedding
        model.ngrams = self.ngrams
        if sorted(labels) == sorted(own.labels) and multi_label == own.multi_label:
            rows = [own.labels.index(label) for label in labels]
            with torch.no_grad():
                model.classifier.weight.copy_(self.classifier.weight[rows])
                model.classifier.bias.copy_(self.classifier.bias[rows])
        return model

    def start_at(self, shares: Sequence[float]) -> None:
        """Set the classifier's bias so that a model that knows nothing gives each label its share of the rows (C,).

        For labels that are decisions of their own: else the first steps go into learning that most are rare. A share
        of 0 or 1 counts as 1 in 10,000 rows that have the label, or lack it.
        """
        known = torch.tensor(shares, dtype=torch.float64).clamp(1e-4, 1 - 1e-4)
        with torch.no_grad():
            self.classifier.bias.copy_(torch.logit(known))

    def divide_logits(self, temperatures: Sequence[float]) -> None:
        """Divide all logits from now on, by one temperature or by one a label (C,), in the classifier's weights.

        So whatever reads the weights gives the same probabilities: a pipeline, an export, another library.
        """
        with torch.no_grad():
            by = torch.tensor(temperatures, dtype=torch.float64, device=self.classifier.weight.device)
            self.classifier.weight.copy_(self.classifier.weight.double() / by[:, None])
            self.classifier.bias.copy_(self.classifier.bias.double() / by)
        self.config.temperatures = [float(value) for value in temperatures]

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.set_input_embeddings(value)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> EmotionOutput | tuple[Tensor, ...]:
        """input_ids and attention_mask (B, L), labels (B,) -> `EmotionOutput`.

        Of a model that gives several labels a row, labels are sets of them, zeros and ones (B, C).
        `token_type_ids` is accepted from any tokenizer and dropped where the encoder knows one segment only.
        """
        inputs: dict[str, Any] = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "inputs_embeds": inputs_embeds,
        }
        if self._has_token_types:
            inputs["token_type_ids"] = token_type_ids
        if "use_cache" in self._takes:  # of a decoder, for tokens to come; there are none
            inputs["use_cache"] = False
        if self._is_told_places and attention_mask is not None and not begins_at_once(attention_mask):
            inputs["position_ids"] = places(attention_mask)
        asked = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        inputs |= {name: value for name, value in asked.items() if value is not None}
        encoded = self.encoder(**inputs, return_dict=True)
        pooled = self.pooler(encoded.last_hidden_state, attention_mask)
        embeddings = self.embedding(self.dropout(pooled))
        if self.ngrams is not None:
            if input_ids is None:
                raise ValueError("inputs_embeds tell nothing of a text's n-grams; give input_ids")
            spelt = self.ngrams(input_ids, attention_mask)
            embeddings = torch.cat([embeddings, spelt.to(embeddings.dtype)], dim=-1)
        logits = self.classifier(embeddings)
        loss = None
        if labels is not None:
            exact = logits if logits.dtype == torch.float64 else logits.float()
            entropy = label_set_loss if self.config.multi_label else nn.functional.cross_entropy
            loss = entropy(exact, labels)
        output = EmotionOutput(
            loss=loss,
            logits=logits,
            embeddings=embeddings,
            hidden_states=encoded.get("hidden_states"),
            attentions=encoded.get("attentions"),
        )
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()


AutoModel.register(StaticConfig, StaticEncoder, exist_ok=True)
AutoModel.register(EmotionConfig, EmotionModel, exist_ok=True)
AutoModelForSequenceClassification.register(EmotionConfig, EmotionModel, exist_ok=True)
EmotionConfig.register_for_auto_class("AutoConfig")
EmotionModel.register_for_auto_class("AutoModel")
