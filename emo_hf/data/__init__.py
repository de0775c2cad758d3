"""Labelled Korean utterances from any source, checked, split and tokenized.

`load_emotion_data` reads, `tokenize_splits` tokenizes; the taxonomy says what labels there are.
"""

from emo_hf.data.collation import PaddingCollator
from emo_hf.data.loading import EmotionData, check_source, load_emotion_data
from emo_hf.data.taxonomy import DEFAULT_LABELS, MAJOR_EMOTIONS, SUB_EMOTIONS, resolve_labels
from emo_hf.data.tokenization import tokenize_splits

__all__ = [
    "DEFAULT_LABELS",
    "MAJOR_EMOTIONS",
    "SUB_EMOTIONS",
    "EmotionData",
    "PaddingCollator",
    "check_source",
    "load_emotion_data",
    "resolve_labels",
    "tokenize_splits",
]
