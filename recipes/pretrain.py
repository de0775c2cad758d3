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

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from transformers import AutoModel

from emo_hf.arguments.words import CommandParser
from emo_hf.pretraining.corpus import Batches, Corpus, encode, pmi_vectors, read_reviews, train_tokenizer
from emo_hf.pretraining.loop import PretrainingRun
from emo_hf.pretraining.objectives import Pretrainer, adopt, encoder_config, sinusoids
from emo_hf.storage.files import write_whole

logger = logging.getLogger("pretrain")

HELD_OUT = 6000


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The values of the command line's words."""
    parser = CommandParser(__doc__)
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
    return parser.parse_words(argv)


def start_afresh(model: Pretrainer, corpus: Corpus, vectors: Path) -> None:
    """Word embeddings from the corpus's statistics, positions from sinusoids: smooth where no text is that long."""
    embeddings = model.encoder.embeddings
    size = model.encoder.config.hidden_size
    if not vectors.exists():
        buffer = io.BytesIO()
        np.save(buffer, pmi_vectors(corpus, model.encoder.config.vocab_size, size).numpy())
        write_whole(vectors, buffer.getvalue())
    with torch.no_grad():
        stored = np.load(vectors, allow_pickle=False)
        embeddings.word_embeddings.weight.copy_(torch.from_numpy(stored) * 0.04 * size**0.5)
        positions = embeddings.position_embeddings.weight
        positions.copy_(sinusoids(len(positions), size) * 0.02)


@command(stopped="stopped; the same command goes on from the last state")
def main(argv: Sequence[str]) -> None:
    """Read, tokenize, train."""
    args = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    torch.set_num_threads(args.threads)
    rank, world = 0, 1
    if "RANK" in os.environ:
        dist.init_process_group("gloo", timeout=timedelta(hours=1))
        rank, world = dist.get_rank(), dist.get_world_size()
    if rank:
        dist.barrier()  # the first process writes the tokenizer and the tokens
    args.output.mkdir(parents=True, exist_ok=True)
    beside = f"{args.layout}-{args.vocab_size}"
    ratings, texts = read_reviews(args.reviews)
    tokenizer = train_tokenizer(texts, args.output / "encoder", args.layout, args.vocab_size)
    views = encode(tokenizer, ratings, texts, args.output.parent / f"tokens-{beside}.npz")
    if world > 1 and not rank:
        dist.barrier()
    logger.info("%d reviews, %.1f M tokens as written", len(ratings), len(views[0].tokens) / 1e6)

    config = encoder_config(args.layout, tokenizer, args.hidden, args.layers)
    dropout = config.hidden_dropout_prob, config.attention_probs_dropout_prob
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    torch.manual_seed(args.seed)
    encoder = AutoModel.from_config(config, add_pooling_layer=False)
    model = Pretrainer(encoder, args.objective, args.mask_share, tokenizer)
    run = PretrainingRun(
        model,
        args.output,
        layout=args.layout,
        optimizer=args.optimizer,
        learning_rate=args.learning_rate,
        dropout=dropout,
    )
    if not run.resume():
        if args.start_from:
            adopt(model, args.start_from, args.layout)
        else:
            start_afresh(model, views[0], args.output.parent / f"vectors-{beside}.npy")
    torch.manual_seed(args.seed + 1_000_003 * rank + run.step)  # each process masks on its own
    rows = np.random.default_rng(0).permutation(len(ratings))
    run.train(
        Batches(views, rows[HELD_OUT:], args.batch_tokens, seed=args.seed),
        Batches(views, rows[:HELD_OUT], args.batch_tokens, seed=1),
        tokens=args.tokens * 1e6,
        decay=args.decay,
        rank=rank,
        world=world,
    )


if __name__ == "__main__":
    sys.exit(main())
