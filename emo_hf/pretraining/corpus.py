"""From lines of text to batches: tokenizer, two views of the corpus, word vectors, sentences of one length."""

from __future__ import annotations

import io
import lzma
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer

from emo_hf.storage.files import write_whole

SPECIALS = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "roberta": ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],
}
MARKS = [r"ㅋ+", r"ㅎ+", r"[ㅠㅜ]+", r"!+", r"\?+", r"\.{2,}|…+", r"~+", r"[♥♡]+", r"\^\^?;*"]
EMOTION_WORDS = [
    "행복", "기쁘|기뻐|기쁨|기쁜", "즐겁|즐거", "신나|신난", "설레|설렘", "웃기|웃음|웃겨|웃었", "감사|고맙|고마",
    "따뜻|훈훈", "편안|편하|힐링", "만족", "사랑", "뿌듯|자랑스", "다행|안심", "기대",
    "슬프|슬퍼|슬픔|슬픈", "눈물|울었|울컥|펑펑", "우울", "외롭|외로|쓸쓸", "그립|그리워|그리움", "후회", "실망",
    "허무|허탈|허전", "아프|아파|아픈|먹먹|찡", "속상|안타깝|안타까", "절망|포기",
    "무섭|무서|공포", "불안", "걱정", "긴장|조마조마|쫄깃", "떨리|떨려|소름|오싹", "두렵|두려", "답답",
    "혼란|당황|당혹|어이없", "스트레스|짜증", "초조|조급", "의심|불신",
]  # fmt: skip
DISTANT_PATTERNS = [re.compile(p) for p in MARKS + [rf"\S*(?:{stem})\S*" for stem in EMOTION_WORDS]]
ANY_DISTANT = re.compile("|".join(p.pattern for p in DISTANT_PATTERNS))
MAX_TOKENS = 128


@dataclass
class Corpus:
    """Token ids of all texts in one row, `offsets` (N + 1,), ratings 1-10 (N,), marks (N, M) or none."""

    tokens: np.ndarray
    offsets: np.ndarray
    ratings: np.ndarray
    marks: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text (N,)."""
        return np.diff(self.offsets)


def read_reviews(path: Path) -> tuple[np.ndarray, list[str]]:
    """Ratings (N,) and texts, NFC, of a file of lines `rating<TAB>text`, plain or `.xz`."""
    ratings, texts = [], []
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            rating, text = line.rstrip("\n").split("\t", 1)
            ratings.append(int(rating))
            texts.append(unicodedata.normalize("NFC", text))
    return np.array(ratings, dtype=np.int8), texts


def train_tokenizer(texts: list[str], folder: Path, layout: str, vocab_size: int) -> BertTokenizer:
    """WordPiece as KLUE's: cased, BERT's special tokens; only the order of the special ids differs by layout."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder.parent.parent / f"vocab-{vocab_size}.txt"
    if not vocabulary.exists():
        write_whole(vocabulary, "\n".join(trained_pieces(texts, vocab_size)).encode())
    pieces = [p for p in vocabulary.read_text(encoding="utf-8").split("\n") if p not in SPECIALS["bert"]]
    ordered = {piece: index for index, piece in enumerate(SPECIALS[layout] + pieces)}
    tokenizer = BertTokenizer(vocab=ordered, do_lower_case=False, strip_accents=False, model_max_length=256)
    tokenizer.save_pretrained(folder)
    return tokenizer


def trained_pieces(texts: list[str], vocab_size: int, letters: int = 1800) -> list[str]:
    """BERT's special tokens, then the pieces of a WordPiece vocabulary, sorted: the same for the same texts.

    On its own, the trainer numbers the letters that go on a word, and chooses the rarest of the alphabet, in the order
    of a hash table, and that order decides which of two equally frequent pieces there is. Here both are given to it.
    """
    counts: Counter[str] = Counter()
    normalizer = BertWordPieceTokenizer(lowercase=False, strip_accents=False, clean_text=True).normalizer
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    found = sorted((letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter))
    alphabet = sorted(found[:letters])
    ends = sorted(_train(texts, 0, [], alphabet) - {*alphabet})  # nothing is joined: letters, alone and after others
    pieces = _train(texts, vocab_size, [*SPECIALS["bert"], *alphabet, *ends], alphabet)
    return [*SPECIALS["bert"], *sorted(pieces - {*SPECIALS["bert"]})]


def _train(texts: list[str], vocab_size: int, first: list[str], alphabet: list[str]) -> set[str]:
    """The pieces of a vocabulary whose first ones are given."""
    trainer = BertWordPieceTokenizer(lowercase=False, strip_accents=False, clean_text=True)
    trainer.train_from_iterator(
        texts,
        vocab_size=vocab_size,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        special_tokens=first,
        show_progress=bool(first),
    )
    return set(trainer.get_vocab())


def encode(tokenizer: BertTokenizer, ratings: np.ndarray, texts: list[str], cache: Path) -> tuple[Corpus, Corpus]:
    """Two views of the corpus: as written, and without the marks, which then are labels."""
    if not cache.exists():
        arrays: dict[str, np.ndarray] = {}
        present = np.array([[bool(p.search(t)) for p in DISTANT_PATTERNS] for t in texts], dtype=np.int8)
        bare = [ANY_DISTANT.sub(" ", text) for text in texts]
        for name, view in (("raw", texts), ("bare", bare)):
            rows = [e.ids[:MAX_TOKENS] for e in tokenizer.backend_tokenizer.encode_batch(view)]
            arrays[f"{name}_tokens"] = np.fromiter((i for row in rows for i in row), dtype=np.uint16)
            arrays[f"{name}_offsets"] = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        buffer = io.BytesIO()
        np.savez(buffer, marks=present, ratings=ratings, **arrays)  # type: ignore[arg-type]  # no option among them
        write_whole(cache, buffer.getvalue())
    stored = np.load(cache, allow_pickle=False)
    none = np.full_like(stored["marks"], -1)
    raw = Corpus(stored["raw_tokens"], stored["raw_offsets"], stored["ratings"], none)
    return raw, Corpus(stored["bare_tokens"], stored["bare_offsets"], stored["ratings"], stored["marks"])


def pmi_vectors(corpus: Corpus, vocab_size: int, size: int, window: int = 4) -> torch.Tensor:
    """(V, size) word vectors: truncated SVD of the positive PMI matrix, square-root weighted, rows of norm about 1."""
    from sklearn.utils.extmath import randomized_svd

    tokens = corpus.tokens.astype(np.int64)
    row = np.repeat(np.arange(len(corpus.offsets) - 1, dtype=np.int32), corpus.lengths)
    counts: np.ndarray = np.zeros(vocab_size * vocab_size, dtype=np.float32)
    for step in range(1, window + 1):
        same = row[:-step] == row[step:]
        pairs = tokens[:-step][same] * vocab_size + tokens[step:][same]
        counts += np.bincount(pairs, minlength=vocab_size * vocab_size).astype(np.float32) / step
    counts = counts.reshape(vocab_size, vocab_size)
    counts = counts + counts.T
    marginal = np.maximum(counts.sum(1), 1e-6)
    context = marginal**0.75 / (marginal**0.75).sum()
    with np.errstate(divide="ignore"):
        pmi = np.log(counts) - np.log(marginal)[:, None] - np.log(context)[None, :]
    del counts
    left, values, _ = randomized_svd(np.maximum(pmi, 0, out=pmi), size, n_iter=3, random_state=0)
    vectors = left * np.sqrt(values)
    vectors -= vectors.mean(0)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.from_numpy((vectors / np.maximum(norms, 1e-6)).astype(np.float32))


class Batches:
    """Endless batches of about `budget` tokens, all sentences of a batch of one length, the two views in turn."""

    def __init__(self, views: tuple[Corpus, ...], rows: np.ndarray, budget: int, seed: int):
        self.views, self.rows, self.budget, self.seed = views, rows, budget, seed

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> list[tuple[int, np.ndarray]]:
        """The batches of one process; every process has the same number of them."""
        random = np.random.default_rng([self.seed, number])
        batches = []
        flip = random.integers(len(self.views), size=len(self.rows))
        for view, corpus in enumerate(self.views):
            rows = random.permutation(self.rows[flip == view])
            lengths = corpus.lengths[rows]
            rows, lengths = rows[lengths >= 5], lengths[lengths >= 5]
            for length in np.unique(lengths):
                same = rows[lengths == length]
                size = max(2, self.budget // int(length))
                batches += [(view, same[i : i + size]) for i in range(0, len(same), size)]
        batches = [batch for batch in batches if len(batch[1]) >= 2]
        random.shuffle(batches)
        return batches[rank : len(batches) // world * world : world]

    def tensors(self, view: int, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Token ids (B, L), ratings from 0 (B,) and marks (B, M) of rows of one length."""
        corpus = self.views[view]
        starts = corpus.offsets[rows]
        width = int(corpus.offsets[rows[0] + 1] - starts[0])
        ids = corpus.tokens[starts[:, None] + np.arange(width)[None, :]].astype(np.int64)
        ratings = torch.from_numpy(corpus.ratings[rows].astype(np.int64) - 1)
        return torch.from_numpy(ids), ratings, torch.from_numpy(corpus.marks[rows].astype(np.int64))
