"""Why a tokenizer loses words: causes and ways out are tried on the texts before they are named."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.models.pretrained import load_tokenizer

HELPS = 1 / 20  # the share of unknown tokens that a way out leaves at most
WORD = "▁"  # SentencePiece's mark of a word
_SETTINGS: tuple[dict[str, bool], ...] = (
    {"do_lower_case": False},
    {"strip_accents": False},
    {"do_lower_case": False, "strip_accents": False},
)
Share = Callable[[PreTrainedTokenizerBase], float]


def cause_of(lost: Counter[str], tokenizer: PreTrainedTokenizerBase, model: ModelArguments, share_with: Share) -> str:
    """Why the words are lost, and what to do about it.

    `share_with` is the share of unknown tokens that another tokenizer would leave of the same texts.
    """
    if _takes_syllables_apart(tokenizer) and (way := _way_to_keep_syllables(tokenizer, model, share_with)):
        return (
            "it takes Hangul syllables apart as if they had accents (do_lower_case, strip_accents), but its "
            f"vocabulary has whole ones; {way}"
        )
    readings = _as_sentencepiece(tokenizer)
    if readings and min(map(share_with, readings)) < share_with(tokenizer) / 2:
        return (
            f"its vocabulary is one of SentencePiece ({WORD} begins a word), but is read as WordPiece, so this is not "
            "the encoder's own tokenizer; put its own tokenizer.json, or its SentencePiece file with the "
            "tokenizer_class that reads it, into the folder, or take another encoder"
        )
    letters = _letters(lost)
    if not letters:
        return "its vocabulary has no pieces for such signs; words beside them are read"
    pieces = list(tokenizer.get_vocab())
    known = set("".join(pieces))
    missing = sum(count for letter, count in letters.items() if letter not in known)
    if missing > letters.total() / 2:
        script = _script(letters)
        with_it = sum(any(_script_of(letter) == script for letter in piece) for piece in pieces)
        return (
            f"its vocabulary lacks most of their letters: {with_it:,} of its {len(pieces):,} pieces are of the script "
            f"{script}; take an encoder for the language of the texts"
        )
    return "it may be another model's tokenizer; take its files and the weights from one model, or another encoder"


def _takes_syllables_apart(tokenizer: PreTrainedTokenizerBase) -> bool:
    if tokenizer.is_fast:
        normalizer = tokenizer.backend_tokenizer.normalizer
        read = normalizer.normalize_str("한글") if normalizer else "한글"
        return read != "한글" and unicodedata.normalize("NFC", read) == "한글"
    return bool(getattr(tokenizer, "do_lower_case", False))  # their code can't be asked; what helps is tried


def _way_to_keep_syllables(tokenizer: PreTrainedTokenizerBase, model: ModelArguments, share_with: Share) -> str | None:
    """The first setting under which the texts are read, or None where there is none."""
    for settings in _SETTINGS:
        if (share := share_with(load_tokenizer(model, **settings))) <= HELPS:
            named = " and ".join(f'"{name}": false' for name in settings)
            return f"set {named} in its tokenizer_config.json ({100 * share:.1f} % are unknown then)"
    if not tokenizer.is_fast:
        return None
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["normalizer"] = {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False,
        "lowercase": False,
    }  # fmt: skip
    if (share := share_with(_plain(Tokenizer.from_str(json.dumps(content)), tokenizer))) > HELPS:
        return None
    return (
        "give the normalizer in its tokenizer.json the type BertNormalizer with strip_accents and lowercase false "
        f"({100 * share:.1f} % are unknown then)"
    )


def _as_sentencepiece(tokenizer: PreTrainedTokenizerBase) -> list[PreTrainedTokenizerBase]:
    """The vocabulary read with the mark before each word, and before each sign too; none where it has no marks."""
    if not tokenizer.is_fast or not isinstance(tokenizer.backend_tokenizer.model, models.WordPiece):
        return []
    pieces = tokenizer.get_vocab()
    if sum(piece.startswith(WORD) for piece in pieces) < len(pieces) / 20:
        return []
    unknown = tokenizer.backend_tokenizer.model.unk_token
    found = []
    for before in ([], [pre_tokenizers.BertPreTokenizer()]):
        read = Tokenizer(models.WordPiece(pieces, unk_token=unknown, continuing_subword_prefix=""))
        read.pre_tokenizer = pre_tokenizers.Sequence([*before, pre_tokenizers.Metaspace()])
        found.append(_plain(read, tokenizer))
    return found


def _plain(backend: Tokenizer, of: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    settings: dict[str, Any] = {"unk_token": of.unk_token} if of.unk_token else {}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


def _letters(words: Counter[str]) -> Counter[str]:
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in filter(str.isalpha, word):
            letters[letter] += count
    return letters


def _script_of(letter: str) -> str:
    """By its name in Unicode: Hangul, Latin, Cjk, Thai …; of what is no letter, an empty one."""
    return unicodedata.name(letter, "unnamed").split()[0].capitalize() if letter.isalpha() else ""


def _script(letters: Counter[str]) -> str:
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[_script_of(letter)] += count
    return scripts.most_common(1)[0][0]
