"""Pre-train the two small Korean encoders that travel with emo_hf, in KLUE's layout, from plain text.

    python recipes/pretrain.py --reviews reviews.tsv.xz --layout bert --tokens 100 --output runs/pretrain/tiny-bert

Input: lines `rating<TAB>text` (rating 1-10), plain or `.xz`. Objectives, summed:

* `--objective mlm`: masked language modelling (Devlin et al. 2019), vocabulary head on masked positions only; or
  `--objective rtd`: replaced-token detection against a small generator that shares the word embeddings
  (ELECTRA, Clark et al. 2020), far more signal a token for small models;
* the review's rating, ten classes, from the CLS vector and from the mean vector, so that either pooling is trained;
* distant emotion labels (Felbo et al. 2017, DeepMoji; Mohammad 2012): which marks (ㅋ ㅎ ㅠ ! ? .. ~ ♥ ^^) and which
  of 36 groups of emotion words the text held, predicted from the text without them.

Several processes (`torchrun --nproc_per_node 2 recipes/pretrain.py …`) average their gradients.

Word embeddings start from a truncated SVD of the positive PMI matrix (Levy & Goldberg 2014). Batches hold sentences of
one length: no padding, no mask. The run resumes from its last state; the learning rate is constant and decays over
the last `--decay` of the budget, so a run can be ended early, with fewer `--tokens`, or continued from
`state-steady.pt`, the state before the decay, with more.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import lzma
import os
import re
import time
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from tokenizers import BertWordPieceTokenizer
from torch import nn
from transformers import AutoModel, BertConfig, BertTokenizer, ElectraConfig, ElectraModel, RobertaConfig

logger = logging.getLogger("pretrain")

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
HELD_OUT = 6000
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
        return np.diff(self.offsets)


def read_reviews(path: Path) -> tuple[np.ndarray, list[str]]:
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
        trainer = BertWordPieceTokenizer(lowercase=False, strip_accents=False, clean_text=True)
        trainer.train_from_iterator(texts, vocab_size=vocab_size, limit_alphabet=1800, special_tokens=SPECIALS["bert"])
        pieces = sorted(trainer.get_vocab().items(), key=lambda item: item[1])
        vocabulary.write_text("\n".join(piece for piece, _ in pieces), encoding="utf-8")
    pieces = [p for p in vocabulary.read_text(encoding="utf-8").split("\n") if p not in SPECIALS["bert"]]
    ordered = {piece: index for index, piece in enumerate(SPECIALS[layout] + pieces)}
    tokenizer = BertTokenizer(vocab=ordered, do_lower_case=False, strip_accents=False, model_max_length=256)
    tokenizer.save_pretrained(folder)
    return tokenizer


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
        np.savez(cache, marks=present, ratings=ratings, **arrays)
    stored = np.load(cache, allow_pickle=False)
    none = np.full_like(stored["marks"], -1)
    raw = Corpus(stored["raw_tokens"], stored["raw_offsets"], stored["ratings"], none)
    return raw, Corpus(stored["bare_tokens"], stored["bare_offsets"], stored["ratings"], stored["marks"])


def pmi_vectors(corpus: Corpus, vocab_size: int, size: int, window: int = 4) -> torch.Tensor:
    """(V, size) word vectors: truncated SVD of the positive PMI matrix, square-root weighted, rows of norm about 1."""
    from sklearn.utils.extmath import randomized_svd

    tokens = corpus.tokens.astype(np.int64)
    row = np.repeat(np.arange(len(corpus.offsets) - 1, dtype=np.int32), corpus.lengths)
    counts = np.zeros(vocab_size * vocab_size, dtype=np.float32)
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


def sinusoids(positions: int, size: int) -> torch.Tensor:
    angles = torch.arange(positions)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(positions, size)


def encoder_config(layout: str, tokenizer: BertTokenizer, hidden: int, layers: int) -> BertConfig | RobertaConfig:
    shape = {
        "attn_implementation": "eager",  # on CPU and at these lengths SDPA's backward takes a fifth of the step
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if layout == "bert":
        return BertConfig(**shape, max_position_embeddings=256, type_vocab_size=2, layer_norm_eps=1e-12)
    return RobertaConfig(
        **shape,
        max_position_embeddings=258,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )


class Pretrainer(nn.Module):
    """The encoder with its pre-training heads; only `encoder` is kept afterwards."""

    def __init__(self, encoder: nn.Module, objective: str, mask_share: float, tokenizer: BertTokenizer):
        super().__init__()
        config = encoder.config
        size, vocab = config.hidden_size, config.vocab_size
        self.encoder, self.objective, self.mask_share = encoder, objective, mask_share
        self.mask_id = tokenizer.mask_token_id
        self.register_buffer("special", torch.zeros(vocab, dtype=torch.bool), persistent=False)
        self.special[tokenizer.all_special_ids] = True
        pieces = tokenizer.convert_ids_to_tokens(list(range(vocab)))
        self.register_buffer("continues", torch.tensor([p.startswith("##") for p in pieces]), persistent=False)
        if objective == "rtd":
            narrow = {"hidden_size": size // 4, "num_attention_heads": 2, "intermediate_size": size}
            self.generator = ElectraModel(
                ElectraConfig(
                    vocab_size=vocab,
                    embedding_size=size,
                    num_hidden_layers=2,
                    attn_implementation="eager",
                    hidden_dropout_prob=0.0,
                    attention_probs_dropout_prob=0.0,
                    pad_token_id=config.pad_token_id,
                    **narrow,
                )
            )
            self.generator.embeddings.word_embeddings = encoder.embeddings.word_embeddings
            self.detector = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, 1))
        mlm_in = size // 4 if objective == "rtd" else size
        self.mlm = nn.Sequential(nn.Linear(mlm_in, size), nn.GELU(), nn.LayerNorm(size))
        self.mlm_bias = nn.Parameter(torch.zeros(vocab))
        self.rating = nn.ModuleDict({pooling: nn.Linear(size, 10) for pooling in ("cls", "mean")})
        self.marks = nn.ModuleDict({pooling: nn.Linear(size, len(DISTANT_PATTERNS)) for pooling in ("cls", "mean")})

    def forward(self, ids: torch.Tensor, ratings: torch.Tensor, marks: torch.Tensor) -> dict[str, torch.Tensor]:
        """ids (B, L) of one length, ratings (B,) 0-9, marks (B, M) in {-1, 0, 1} -> losses by name."""
        dice = torch.rand(len(ids), ids.shape[1] + 1)
        # Half of the batches mask whole words, as KLUE's encoders do, the others single pieces.
        dice = dice.gather(1, (~self.continues[ids]).cumsum(1)) if torch.rand(()) < 0.5 else dice[:, 1:]
        chosen = (dice < self.mask_share) & ~self.special[ids]
        chosen[:, 1] |= ~chosen.any(1) & ~self.special[ids[:, 1]]
        dice = torch.rand(ids.shape)
        masked = ids.masked_fill(chosen & (dice < 0.85), self.mask_id)
        if self.objective == "mlm":
            shuffled = torch.randint(5, self.special.numel(), ids.shape)
            masked = torch.where(chosen & (dice > 0.95), shuffled, masked)
        losses = {}
        table = self.encoder.embeddings.word_embeddings.weight
        if self.objective == "mlm":
            hidden = self.encoder(input_ids=masked).last_hidden_state
            logits = nn.functional.linear(self.mlm(hidden[chosen]), table, self.mlm_bias)
            losses["mlm"] = nn.functional.cross_entropy(logits.float(), ids[chosen])
        else:
            small = self.generator(input_ids=masked).last_hidden_state
            logits = nn.functional.linear(self.mlm(small[chosen]), table, self.mlm_bias).float()
            losses["mlm"] = nn.functional.cross_entropy(logits, ids[chosen])
            with torch.no_grad():
                noise = -torch.empty_like(logits).exponential_().log_()
                corrupted = ids.clone()
                corrupted[chosen] = (logits + noise).argmax(-1)
            hidden = self.encoder(input_ids=corrupted).last_hidden_state
            replaced = (corrupted != ids).float()
            found = self.detector(hidden[:, 1:-1]).squeeze(-1).float()
            losses["rtd"] = nn.functional.binary_cross_entropy_with_logits(found, replaced[:, 1:-1])
        vectors = {"cls": hidden[:, 0], "mean": hidden.mean(1)}
        losses["rating"] = sum(
            nn.functional.cross_entropy(self.rating[p](vectors[p]).float(), ratings) for p in vectors
        ) / len(vectors)
        if int(marks[0, 0]) >= 0:
            target = marks.float()
            losses["marks"] = sum(
                nn.functional.binary_cross_entropy_with_logits(self.marks[p](vectors[p]).float(), target)
                for p in vectors
            ) / len(vectors)
        return losses


WEIGHTS = {"mlm": 1.0, "rtd": 20.0, "rating": 0.5, "marks": 20.0}


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
        corpus = self.views[view]
        starts = corpus.offsets[rows]
        width = int(corpus.offsets[rows[0] + 1] - starts[0])
        ids = corpus.tokens[starts[:, None] + np.arange(width)[None, :]].astype(np.int64)
        ratings = torch.from_numpy(corpus.ratings[rows].astype(np.int64) - 1)
        return torch.from_numpy(ids), ratings, torch.from_numpy(corpus.marks[rows].astype(np.int64))


@torch.no_grad()
def held_out(model: Pretrainer, batches: Batches) -> dict[str, float]:
    """Mean held-out loss of every objective; the same masks each time."""
    model.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sums: dict[str, list[float]] = {}
        for view, rows in batches.epoch(0):
            with torch.autocast("cpu", torch.bfloat16):
                losses = model(*batches.tensors(view, rows))
            for name, value in losses.items():
                sums.setdefault(name, []).append(float(value))
    model.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sums.items()}


def learning_rate(share: float, peak: float, decay: float, warm_up: float = 0.01) -> float:
    """Warm-up, constant, linear decay to zero over the last `decay` of the budget; `share` of it is spent."""
    if share < warm_up:
        return peak * share / warm_up
    return peak * min(1.0, max(0.0, (1.0 - share) / decay))


def average_gradients(model: nn.Module, tokens: int) -> int:
    """Average the gradients (unused ones count zero) and sum the tokens over all processes, in one all-reduce."""
    if not dist.is_initialized():
        return tokens
    parameters = list(model.parameters())
    parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    flat = torch.cat([*parts, torch.tensor([float(tokens)])])
    dist.all_reduce(flat)
    tokens = round(float(flat[-1]))
    flat /= dist.get_world_size()
    for parameter, part in zip(parameters, flat[:-1].split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
    return tokens


def build_optimizers(model: Pretrainer, learning_rate: float, name: str) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon (Jordan et al. 2024) for the matrices of the layers and AdamW for the rest."""
    inner = [p for n, p in model.named_parameters() if ".layer." in n and p.ndim == 2] if name == "muon" else []
    ids = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in ids]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers = [torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)]
    if inner:
        optimizers.append(torch.optim.Muon(inner, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def write(path: Path, save) -> None:
    temporary = path.with_name(path.name + ".part")
    save(temporary)
    os.replace(temporary, path)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=Path, required=True, help="lines `rating<TAB>text`, plain or .xz")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run; holds `encoder/` at the end")
    parser.add_argument("--layout", choices=["bert", "roberta"], default="bert")
    parser.add_argument("--objective", choices=["mlm", "rtd"], default="rtd")
    parser.add_argument(
        "--tokens", type=float, default=100.0, help="budget, in millions of tokens, masked ones included"
    )
    parser.add_argument("--decay", type=float, default=0.2, help="last share of the budget with a falling rate")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocab_size", type=int, default=8000)
    parser.add_argument("--batch_tokens", type=int, default=4096)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--optimizer", choices=["adamw", "muon"], default="muon")
    parser.add_argument("--mask_share", type=float, default=0.2)
    parser.add_argument("--start_from", type=Path, help="state.pt or encoder folder to start from, of either layout")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def adopt(model: Pretrainer, path: Path, layout: str) -> None:
    """Take over the weights of another run; the special tokens' rows and the first positions change places.

    `path` is the state of a run, with its heads, or the folder of a finished encoder with the same vocabulary.
    """
    if path.is_dir():
        finished = AutoModel.from_pretrained(path, add_pooling_layer=False, dtype=torch.float32)
        state = {f"encoder.{name}": value for name, value in finished.state_dict().items()}
        stored = {"layout": finished.config.model_type, "model": state}
    else:
        stored = torch.load(path, weights_only=True)
    source, state = SPECIALS[stored["layout"]], stored["model"]
    own = model.state_dict()
    order = [source.index(token) for token in SPECIALS[layout]]
    for name, value in state.items():
        if name not in own:
            continue
        if own[name].shape[1:] != value.shape[1:]:
            raise SystemExit(f"{path} has another shape of {name}; give the same --hidden and --layers")
        if name.endswith("word_embeddings.weight") or name == "mlm_bias":
            value = torch.cat([value[order], value[5:]])
        elif name == "encoder.embeddings.position_embeddings.weight":
            shift = {"bert": 0, "roberta": 2}
            value = value[shift[stored["layout"]] :][:256]
            value = torch.cat([own[name][: shift[layout]], value])
        elif name == "encoder.embeddings.token_type_embeddings.weight":
            value = value[:1].expand_as(own[name]).clone()
        if own[name].shape == value.shape:  # a head for other labels starts anew
            own[name].copy_(value)


def main(argv: list[str] | None = None) -> None:
    args = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    rank, world = 0, 1
    if "RANK" in os.environ:
        dist.init_process_group("gloo", timeout=timedelta(hours=1))
        rank, world = dist.get_rank(), dist.get_world_size()
    if rank:
        logger.setLevel(logging.WARNING)
        dist.barrier()  # the first process writes the tokenizer and the tokens
    args.output.mkdir(parents=True, exist_ok=True)
    ratings, texts = read_reviews(args.reviews)
    tokenizer = train_tokenizer(texts, args.output / "encoder", args.layout, args.vocab_size)
    views = encode(tokenizer, ratings, texts, args.output.parent / f"tokens-{args.layout}-{args.vocab_size}.npz")
    del texts
    if world > 1 and not rank:
        dist.barrier()
    logger.info("%d reviews, %.1f M tokens as written", len(ratings), len(views[0].tokens) / 1e6)
    rows = np.random.default_rng(0).permutation(len(ratings))
    validation = Batches(views, rows[:HELD_OUT], args.batch_tokens, seed=1)
    training = Batches(views, rows[HELD_OUT:], args.batch_tokens, seed=args.seed)

    config = encoder_config(args.layout, tokenizer, args.hidden, args.layers)
    dropout = config.hidden_dropout_prob, config.attention_probs_dropout_prob
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    encoder = AutoModel.from_config(config, add_pooling_layer=False)
    model = Pretrainer(encoder, args.objective, args.mask_share, tokenizer)
    state_file = args.output / "state.pt"
    optimizers = build_optimizers(model, args.learning_rate, args.optimizer)
    torch.manual_seed(args.seed)
    step, tokens, epoch, at = 0, 0, 1, 0
    if state_file.exists():
        stored = torch.load(state_file, weights_only=True)
        model.load_state_dict(stored["model"])
        for optimizer, state in zip(optimizers, stored["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        step, tokens, epoch, at = (stored[k] for k in ("step", "tokens", "epoch", "at"))
        logger.info("resumed at step %d, %.1f M tokens", step, tokens / 1e6)
    elif args.start_from:
        adopt(model, args.start_from, args.layout)
    else:
        with torch.no_grad():
            table = encoder.embeddings.word_embeddings.weight
            vectors = args.output.parent / f"vectors-{args.layout}-{args.vocab_size}.npy"
            if not vectors.exists():
                np.save(vectors, pmi_vectors(views[0], len(tokenizer), args.hidden).numpy())
            table.copy_(torch.from_numpy(np.load(vectors)) * 0.04 * args.hidden**0.5)
            positions = encoder.embeddings.position_embeddings.weight
            positions.copy_(sinusoids(len(positions), args.hidden) * 0.02)
    model.train()
    torch.manual_seed(args.seed + 1_000_003 * rank + step)  # each process masks on its own
    budget = args.tokens * 1e6
    steady_saved = tokens >= budget * (1 - args.decay)

    def save() -> None:
        state = {
            "model": model.state_dict(), "layout": args.layout,
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "step": step, "tokens": tokens, "epoch": epoch, "at": at,
        }  # fmt: skip
        write(state_file, lambda path: torch.save(state, path))
        finished = copy.deepcopy(encoder).half()
        finished.config.hidden_dropout_prob, finished.config.attention_probs_dropout_prob = dropout
        finished.save_pretrained(args.output / "encoder")

    batches = training.epoch(epoch, rank, world)
    log_at, save_at = time.monotonic() + 60, time.monotonic() + 300
    averages: dict[str, float] = {}
    while tokens < budget:
        if at == len(batches):
            epoch, at = epoch + 1, 0
            batches = training.epoch(epoch, rank, world)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = learning_rate(tokens / budget, args.learning_rate, args.decay)
        view, chosen = batches[at]
        inputs = training.tensors(view, chosen)
        with torch.autocast("cpu", torch.bfloat16):
            losses = model(*inputs)
        sum(WEIGHTS[name] * value for name, value in losses.items()).backward()
        tokens += average_gradients(model, inputs[0].numel())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        at, step = at + 1, step + 1
        for name, value in losses.items():
            averages[name] = 0.98 * averages.get(name, float(value.detach())) + 0.02 * float(value.detach())
        if time.monotonic() > log_at:
            log_at = time.monotonic() + 60
            parts = ", ".join(f"{name} {value:.3f}" for name, value in averages.items())
            logger.info("step %d, %.2f of %.0f M tokens: %s", step, tokens / 1e6, args.tokens, parts)
        if rank:
            continue
        if not steady_saved and tokens >= budget * (1 - args.decay):
            steady_saved = True
            save()
            write(args.output / "state-steady.pt", lambda path: path.write_bytes(state_file.read_bytes()))
        if time.monotonic() > save_at or tokens >= budget:
            save_at = time.monotonic() + 300
            save()
            line = {"step": step, "tokens": tokens, **held_out(model, validation)}
            logger.info("held out: %s", line)
            with (args.output / "held_out.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
