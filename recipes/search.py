"""Search hyper-parameters on validation data; write the trials, and the best as a config file.

    python recipes/search.py --aux triplet
    python recipes/search.py --pooling mean --aux triplet --space learning_rate=1e-4..1e-3 margin=0.2..2 --trials 40
    python recipes/search.py --space pooling=cls,mean,attention aux=none,contrastive,triplet aux_weight=0.03..3

`--space` takes `name=low..high` or `name=a,b,c`; every other argument of train.py holds for all trials. Unpromising
trials end early. A stopped search goes on where it was; test rows are not used.
"""

from __future__ import annotations

import sys
import time

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.errors import UserError
from emo_hf.redaction import start_logging
from emo_hf.search.search import BEST_FILE, TABLE_FILE, Search, SearchArguments, best_of
from emo_hf.study.variations import describe
from emo_hf.training.progress import quiet_libraries


def main(argv: list[str] | None = None) -> int:
    """Run the recipe: 0 if all is well, 2 for a mistake in the input, said in one line."""
    quiet_libraries()
    try:
        arguments, words, settings = parse_arguments(
            [SearchArguments], sys.argv[1:] if argv is None else argv, partial=True
        )
        model, data, training = parse_arguments(
            [ModelArguments, DataArguments, MetricTrainingArguments], words, settings=settings, description=__doc__
        )
        search = Search(arguments, model, data, given(training))
        search.check()
        done = len(search.rows())
        print(f"{arguments.trials} trials over {' '.join(search.words)}, {done} done, in {search.folder}")
        started = time.monotonic()
        for row in search.run():
            left = (time.monotonic() - started) / (row["trial"] - done) * (arguments.trials - row["trial"])
            print(f"[{row['trial']}/{arguments.trials}] {result(row)}; about {left / 60:.1f} min left", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on with the trials that are left", file=sys.stderr)
        return 130
    print("\n" + (search.folder / TABLE_FILE).read_text(encoding="utf-8"))
    best = best_of(search.rows())
    print(f"best: trial {best['trial']}, {result(best)}; to train it over seeds, and test it:")
    print(
        f"python recipes/compare.py --config {search.folder / BEST_FILE} --seeds 1 2 3 4 5 "
        f"--study_dir {search.folder / 'best'}"
    )
    return 0


def result(row: dict) -> str:
    """A trial in a line: its settings, and how it went."""
    if row["state"] == "failed":
        said = f"failed: {row['error']}"
    elif row["state"] == "pruned":
        said = f"ended after epoch {row['epochs']}, below the median"
    else:
        said = f"validation macro-F1 {100 * row['validation_macro_f1']:.1f} at epoch {row['epoch']}"
    return f"{describe(tuple(row['settings'].items()))}: {said}"


if __name__ == "__main__":
    start_logging()
    sys.exit(main())
