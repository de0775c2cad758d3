"""Teach a small model what a large one says of texts that nobody labelled, then train it on the labelled rows.

    python recipes/distill.py RUN --texts comments.txt                      # static: no layers, the fastest
    python recipes/distill.py RUN --texts comments.txt more.csv --student layers=2
    python recipes/distill.py RUN1 RUN2 RUN3 --texts comments.txt --student tiny-bert

RUN is the folder of a run, the teacher; of several runs of one task, as over seeds, the mean of their logits teaches.
What the teachers say is computed once and kept in --cache_dir. Texts of the teacher's validation and test rows are
left out. The labelled rows are those that the teacher was trained on, cut as for it, and the arguments of train.py's
training hold for them.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import named, parse_arguments
from emo_hf.distillation.distillation import DistillArguments, distill, teachers_data
from emo_hf.errors import UserError
from emo_hf.storage.files import said_plainly
from emo_hf.storage.lock import held
from emo_hf.storage.record import read_record, summary, write_record
from emo_hf.training.threads import take_cores


@command(stopped="stopped; what the teacher has said so far is kept, and the same command goes on from there")
def main(argv: Sequence[str]) -> None:
    """Read the arguments, teach the student, train it, and compare it with its teacher."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # before the arguments, which would wait for the others
        raise UserError("distill.py runs in one process; start it with python, or with --num_processes 1")
    count = next((place for place, word in enumerate(argv) if word.startswith("--")), len(argv))
    teachers, words = list(argv[:count]), argv[count:]
    arguments, training = parse_arguments([DistillArguments, MetricTrainingArguments], words, description=__doc__)
    # Only now: --help has no use for them.
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()
    data = teachers_data(teachers)
    others = f"_and_{len(teachers) - 1}" if len(teachers) > 1 else ""
    name = f"{_short(arguments.student)}_of_{_short(teachers[0])}{others}"
    if "output_dir" not in named(words):
        training.output_dir = f"runs/distill/{name}"
    folder = Path(training.output_dir)
    start = folder.parent / "starts" / folder.name
    with said_plainly(folder), held(folder, "stop it, or give another --output_dir"):
        student = distill(
            teachers,
            arguments,
            start,
            seed=training.seed,
            use_cpu=bool(training.use_cpu),
            bf16=bool(training.bf16),
            progress=Progress(),
        )
        print(
            f"{student['texts']:,} texts, training rows among them; {student['left_out']:,} are left out, as "
            "validation or test rows have them"
        )
        record = train(start, data, training)
    record["model"]["distilled_from"] = student["distilled_from"]
    write_record(folder, record)
    print(summary(record))
    for teacher in teachers:
        found = read_record(Path(teacher)) or {}
        print(f"teacher {teacher}: macro-F1 {found['test']['macro_f1']:.3f}, {_size(Path(teacher))}")
    print(f"student {folder}: macro-F1 {record['test']['macro_f1']:.3f}, {_size(folder)}")


def train(start: Path, data: DataArguments, training: MetricTrainingArguments) -> dict:
    """The run that starts from the student, with progress."""
    from display.run import RunDisplay

    from emo_hf.training.run import run

    display = RunDisplay(training.aux, bar=not training.disable_tqdm)
    training.disable_tqdm = True  # Trainer's own bars
    with contextlib.closing(display):
        return run(ModelArguments(init_from=str(start)), data, training, callbacks=[display])


class Progress:
    """A line for each tenth of what is being done."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, what: str, done: int, count: int) -> None:
        line = f"{what}: {10 * done // count * 10} %"
        if line != self._said:
            self._said = line
            print(line, file=sys.stderr, flush=True)


def _short(name: str) -> str:
    return Path(name).name.replace("layers=", "layers")


def _size(folder: Path) -> str:
    return f"{(folder / 'model.safetensors').stat().st_size / 2**20:.1f} MiB"


if __name__ == "__main__":
    take_cores()
    sys.exit(main())
