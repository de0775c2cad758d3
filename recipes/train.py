"""Train one model and write its record.

    python recipes/train.py --pooling mean --aux triplet
    accelerate launch recipes/train.py --pooling mean --aux triplet --encoder klue/bert-base --data AIHUB_FOLDER

Both give the same scores on one machine: the last digits depend on the number of threads, so a process that a launcher
left one thread takes its share of the cores. OMP_NUM_THREADS above 1 is kept.

    python recipes/train.py --push_to_hub --hub_model_id NAME    # after `hf auth login`
    python recipes/train.py --from_record runs/compare/tiny-bert_mean_triplet_seed1/record.json    # the same run again

`--config file.yaml` gives defaults that the command line overrides.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import named, parse_arguments
from emo_hf.arguments.precision import precision
from emo_hf.distributed import leave
from emo_hf.storage.files import said_plainly
from emo_hf.storage.lock import held
from emo_hf.training.threads import take_cores

ALL = [ModelArguments, DataArguments, MetricTrainingArguments]


@dataclass
class RepetitionArguments:
    """A run that there was."""

    from_record: str | None = field(
        default=None,
        metadata={"help": "record.json of a run, to run it again, in runs/again; what else is given here overrides"},
    )


@command()
def main(argv: Sequence[str]) -> None:
    """Read the arguments, check them, train, and push if asked to."""
    again, words, settings = parse_arguments(
        [RepetitionArguments], argv, partial=True, others=ALL, description=__doc__
    )
    if again.from_record:
        from emo_hf.study.rerun import check_same, read_again, settings_of

        record = read_again(again.from_record)
        settings = settings_of(record, named(argv)) | settings
    model, data, training = parse_arguments(ALL, words, settings=settings)
    # Only now: they take as long to import as all else, and --help has no use for them.
    from display.notes import say_notes

    from emo_hf.models.parents import settled
    from emo_hf.storage.record import is_done, summary
    from emo_hf.training.going_on import check_folder, refuse_finished
    from emo_hf.training.loaded import drawn_by, load_data
    from emo_hf.training.progress import quiet_libraries
    from emo_hf.training.run import check_arguments
    from emo_hf.training.run_names import run_name

    quiet_libraries()
    model, data = settled(model, data, named(argv))
    if again.from_record:
        check_same(record, data, training.world_size, named(argv))
    name = run_name(model.encoder, model.pooling, training.aux, training.seed)
    repo_id = None
    if training.push_to_hub:
        training.push_to_hub = False  # Trainer's own push would upload its arguments as a pickle, at every save
        if training.process_index == 0:
            from emo_hf.hub.upload import check_access, push

            repo_id = check_access(training.hub_model_id, private=training.hub_private_repo, default_name=name)
    check_arguments(model, data, training)
    training.output_dir = training.output_dir.replace("{name}", name)
    folder = Path(training.output_dir)
    check_folder(model, folder)
    refuse_finished(model, data, training, folder)
    load_data(drawn_by(data, training.seed))  # before there is a folder
    replaced = training.process_index == 0 and is_done(folder)
    if replaced:
        said = f"{folder} holds a finished run, which this one replaces; another --output_dir keeps both"
        print(said, file=sys.stderr)
    record = train(model, data, training, argv)
    if training.process_index == 0:
        print(f"trained on {training.device} in {precision(training)}")
        print(summary(record))
        if replaced:
            print(f"the finished run that {folder} held is replaced by this one")
    if repo_id:
        print(f"pushed to {push(folder, record, repo_id)}")
    if training.process_index == 0:
        say_notes(record["data"]["report"]["notes"])


def train(model: ModelArguments, data: DataArguments, training: MetricTrainingArguments, argv: Sequence[str]) -> dict:
    """Run in a folder that nobody else uses, with progress; the record comes back."""
    from display.run import RunDisplay

    from emo_hf.training.checkpoints import newest_sound
    from emo_hf.training.run import run

    folder = Path(training.output_dir)
    display = RunDisplay(training.aux, bar=not training.disable_tqdm)
    training.disable_tqdm = True  # Trainer's own bars
    way_out = "stop it, or give another --output_dir"
    alone = held(folder, way_out) if training.process_index == 0 else contextlib.nullcontext()
    try:
        with said_plainly(folder), alone, contextlib.closing(display):
            return run(model, data, training, callbacks=[display])
    except KeyboardInterrupt:
        if (checkpoint := newest_sound(folder)) is None:
            raise KeyboardInterrupt("stopped before its first checkpoint; the same command begins anew") from None
        start = f"torchrun --nproc_per_node {training.world_size}" if training.world_size > 1 else "python"
        words = shlex.join([*without_resuming(argv), "--resume_from_checkpoint", "last"])
        way_on = f"{checkpoint} is its last checkpoint, and this goes on from it: {start} recipes/train.py {words}"
        raise KeyboardInterrupt(f"stopped; {way_on}") from None


def without_resuming(argv: Sequence[str]) -> list[str]:
    """The words of a command but for what it was resumed from itself."""
    words, skip = [], False
    for word in argv:
        name = word.replace("-", "_")
        if not skip and not name.startswith("__resume_from_checkpoint"):
            words.append(word)
        skip = name == "__resume_from_checkpoint"
    return words


if __name__ == "__main__":
    take_cores()
    leave(main())
