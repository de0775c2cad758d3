"""Search hyper-parameters on validation data; write the trials, and the best as a config file.

    python recipes/search.py --aux triplet
    python recipes/search.py --pooling mean --aux triplet --space learning_rate=1e-4..1e-3 margin=0.2..1.6 --trials 40
    python recipes/search.py --space pooling=cls,mean,attention aux=none,contrastive,triplet aux_weight=0.03..3

`--space` takes `name=low..high` or `name=a,b,c`; every other argument of train.py holds for all trials. Unpromising
trials end early. A stopped search goes on where it was; test rows are not used.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import sys
import time
from collections.abc import Sequence

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.arguments.parsing import named, parse_arguments
from emo_hf.search.arguments import SearchArguments

ALL = [ModelArguments, DataArguments, MetricTrainingArguments]


@command(stopped="stopped; the same command goes on with the trials that are left")
def main(argv: Sequence[str]) -> None:
    """Read the arguments, run the trials that are due, and say which one is the best."""
    arguments, words, settings = parse_arguments(
        [SearchArguments], argv, partial=True, others=ALL, description=__doc__
    )
    # Only now: they take as long to import as all else, and --help has no use for them.
    from display.notes import say_notes

    from emo_hf.models.parents import settled
    from emo_hf.search.search import BEST_FILE, TABLE_FILE, Search, best_of
    from emo_hf.training.loaded import load_data
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()  # before Trainer's: a quiet process has no bars by default, and a search remembers that
    model, data, training = parse_arguments(ALL, words, settings=settings)
    varied = Search(arguments, model, data, given(training)).space.get("encoder")
    arms = [model.encoder, *varied] if isinstance(varied, tuple) else []
    model, data = settled(model, data, named(argv), arms)
    search = Search(arguments, model, data, given(training))
    search.check()
    before: list[int] = []
    notes: list[str] = []

    def begin(done: int) -> None:
        before.append(done)
        notes.extend(load_data(data).report["notes"])  # which were read just now, and may change
        print(f"{arguments.trials} trials over {' '.join(search.words)}, {done} done, in {search.folder}", flush=True)

    started = time.monotonic()
    for row in search.run(begin):
        left = (time.monotonic() - started) / (row["trial"] - before[0]) * (arguments.trials - row["trial"])
        print(f"[{row['trial']}/{arguments.trials}] {result(row)}; about {left / 60:.1f} min left", flush=True)
    print("\n" + (search.folder / TABLE_FILE).read_text(encoding="utf-8"))
    best = best_of(search.rows())
    assert best is not None  # or `run` had said that none went well
    print(f"best: trial {best['trial']}, {result(best)}; to train it over seeds, and test it:")
    print(
        f"python recipes/compare.py --config {search.folder / BEST_FILE} --seeds 1 2 3 4 5 "
        f"--study_dir {search.folder / 'best'}"
    )
    say_notes(notes)


def result(row: dict) -> str:
    """A trial in a line: its settings, and how it went."""
    from emo_hf.study.variations import describe

    if row["state"] == "failed":
        said = f"failed: {row['error']}"
    elif row["state"] == "pruned":
        said = f"ended after epoch {row['epochs']}, below the median"
    else:
        said = f"validation macro-F1 {100 * row['validation_macro_f1']:.1f} at epoch {row['epoch']}"
    return f"{describe(tuple(row['settings'].items()))}: {said}"


if __name__ == "__main__":
    sys.exit(main())
