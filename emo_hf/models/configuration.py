"""Configurations of a model and of a static encoder. Travels with every saved checkpoint, imports nothing of ours."""

from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from .pooling import POOLINGS

# What a model is built of, whatever its labels: one that goes on from another has the same.
BUILT_OF = (
    "encoder", "pooling", "embedding_size", "ngrams", "ngram_size", "ngram_buckets", "ngram_dropout", "text_prefix",
)  # fmt: skip


class StaticConfig(PreTrainedConfig):
    """What a `StaticEncoder` is made of.

    Args:
        vocab_size: number of token ids V.
        hidden_size: dimension H of the vectors of pieces.
    """

    model_type = "emo_hf_static"

    def __init__(self, vocab_size: int = 8000, hidden_size: int = 256, **kwargs: Any) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        super().__init__(**kwargs)


class EmotionConfig(PreTrainedConfig):
    """What an `EmotionModel` is made of: an encoder, a pooling, an embedding layer, and the labels in fixed order.

    Args:
        encoder: configuration of the encoder, as an object or as a dictionary with `model_type`; BERT by default.
        pooling: how token states become one vector: `cls`, `mean`, `max`, `attention` or `last`.
        embedding_size: dimension D of the embedding that the metric losses and the maps use.
        embedding_dropout: dropout on the pooled vector, in [0, 1).
        ngrams: letters of the longest character n-grams that stand beside the encoder, as `CharacterNgrams`; 0: none.
        ngram_size: dimensions of the embedding that are theirs; an eighth of it where nothing is said, 0 without them.
        ngram_buckets: vectors that n-grams share by their hash.
        ngram_dropout: share of a text's n-grams left out in training, in [0, 1).
        text_prefix: what stands before every text that the model is given, as "query: "; its tokenizer puts it there.
        labels: label names in the order of the logits; kept as `id2label` and `label2id`.
        thresholds: of a model that gives several labels a row (`problem_type` "multi_label_classification"): from
            which probability on a row has a label (C,); 0.5 where there are none.
        temperatures: what logits were divided by after training so that their probabilities can be believed, one or
            one a label; the weights of the classifier hold it already, and nothing is left to be done.
        abstention, label_sets: below which probability of the likeliest label a text gets no answer, and how sets of
            labels are made, with what both promise, as `emo_hf.evaluation.promises` stores them.

    Raises:
        ValueError: for an unknown pooling, a size below 1, a dropout outside [0, 1), n-grams that leave the encoder
            no part of the embedding, or a `num_labels` that is not the number of labels, whose names would be lost;
            thresholds that are not one a label, in [0, 1]; temperatures that are not one or one a label, above 0.
    """

    model_type = "emo_hf"
    sub_configs = {"encoder": AutoConfig}  # noqa: RUF012

    def __init__(
        self,
        encoder: PreTrainedConfig | dict[str, Any] | None = None,
        pooling: str = "cls",
        embedding_size: int = 256,
        embedding_dropout: float = 0.1,
        ngrams: int = 0,
        ngram_size: int | None = None,
        ngram_buckets: int = 65536,
        ngram_dropout: float = 0.3,
        text_prefix: str = "",
        labels: Sequence[str] | None = None,
        thresholds: Sequence[float] | None = None,
        temperatures: Sequence[float] | None = None,
        abstention: dict[str, Any] | None = None,
        label_sets: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if encoder is None:
            encoder = {"model_type": "bert"}
        if isinstance(encoder, dict):
            encoder = dict(encoder)
            encoder = AutoConfig.for_model(encoder.pop("model_type"), **encoder)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r}; allowed: {', '.join(POOLINGS)}")
        if int(embedding_size) < 1:
            raise ValueError(f"embedding_size is {embedding_size!r}; it must be a whole number of at least 1")
        if not 0 <= embedding_dropout < 1:
            raise ValueError(f"embedding_dropout is {embedding_dropout!r}; it must lie in [0, 1)")
        if ngrams < 0 or ngram_buckets < 1 or not 0 <= ngram_dropout < 1:
            raise ValueError(
                f"ngrams is {ngrams}, of {ngram_buckets} buckets, with dropout {ngram_dropout}; needed are "
                "0 or more, 1 or more, and [0, 1)"
            )
        if not ngrams:
            ngram_size = 0
        elif ngram_size is None:
            ngram_size = max(1, int(embedding_size) // 8)
        if ngrams and not 1 <= ngram_size < embedding_size:
            raise ValueError(
                f"ngrams take {ngram_size} of the {embedding_size} dimensions of the embedding; they must "
                "take at least 1 and leave as much; give a larger embedding_size"
            )
        if labels is not None:
            if kwargs.pop("num_labels", None) not in (None, len(labels)):
                raise ValueError(f"labels names {len(labels)} labels, but num_labels is another number; leave it out")
            kwargs["id2label"] = dict(enumerate(labels))
            kwargs["label2id"] = {label: index for index, label in enumerate(labels)}
        self.encoder = encoder
        self.pooling = pooling
        self.embedding_size = int(embedding_size)
        self.embedding_dropout = float(embedding_dropout)
        self.ngrams = ngrams
        self.ngram_size = ngram_size
        self.ngram_buckets = ngram_buckets
        self.ngram_dropout = float(ngram_dropout)
        self.text_prefix = text_prefix
        self.thresholds = None if thresholds is None else [float(threshold) for threshold in thresholds]
        self.temperatures = None if temperatures is None else [float(value) for value in temperatures]
        self.abstention, self.label_sets = abstention, label_sets
        self.keys_to_ignore_at_inference = ["embeddings", "hidden_states", "attentions"]
        super().__init__(**kwargs)
        if self.thresholds is not None:
            if len(self.thresholds) != len(self.labels):
                raise ValueError(f"thresholds holds {len(self.thresholds)}, but there are {len(self.labels)} labels")
            if not all(0 <= threshold <= 1 for threshold in self.thresholds):
                raise ValueError(f"thresholds holds {max(self.thresholds, key=abs)}; each must lie in [0, 1]")
        if self.temperatures is not None and (
            len(self.temperatures) not in (1, len(self.labels)) or not all(value > 0 for value in self.temperatures)
        ):
            raise ValueError(f"temperatures is {self.temperatures}; give one, or one a label, all of them above 0")
        self.auto_map = {
            "AutoConfig": "configuration.EmotionConfig",
            "AutoModel": "modeling.EmotionModel",
            "AutoModelForSequenceClassification": "modeling.EmotionModel",
        }

    @property
    def labels(self) -> list[str]:
        """Label names in the order of the logits."""
        names: Any = self.id2label
        return [names[index] for index in range(len(names))]

    @property
    def multi_label(self) -> bool:
        """Whether a row may have several labels, each with a probability of its own."""
        return self.problem_type == "multi_label_classification"

    @property
    def hidden_size(self) -> int:
        """Width of the encoder's states."""
        return self.encoder.hidden_size

    @property
    def vocab_size(self) -> int:
        """Number of token ids that the encoder knows."""
        return self.encoder.vocab_size

    @property
    def max_tokens(self) -> int | None:
        """The longest sequence that the position table takes, special tokens included; None if there is no table.

        RoBERTa counts positions from `pad_token_id + 1`, so 514 positions take 512 tokens.
        """
        positions = getattr(self.encoder, "max_position_embeddings", None)
        if positions is None or positions < 1:
            return None
        counts_from_padding = self.encoder.model_type in {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl"}
        return positions - self.encoder.pad_token_id - 1 if counts_from_padding else positions


AutoConfig.register(StaticConfig.model_type, StaticConfig, exist_ok=True)
AutoConfig.register(EmotionConfig.model_type, EmotionConfig, exist_ok=True)
