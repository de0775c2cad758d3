"""Train one model and write its record.

    python recipes/train.py --pooling mean --aux triplet
    accelerate launch recipes/train.py --pooling mean --aux triplet --encoder klue/bert-base --data AIHUB_FOLDER

Both give the same scores on one machine: a process that a launcher left one thread takes its share of the cores, of
which the last digits depend. OMP_NUM_THREADS above 1 is kept.

    python recipes/train.py --push_to_hub --hub_model_id NAME    # after `hf auth login`
    python recipes/train.py --from_record runs/compare/tiny-bert_mean_triplet_seed1/record.json    # the same run again

`--config file.yaml` gives defaults that the command line overrides.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, precision
from emo_hf.arguments.parsing import named, parse_arguments
from emo_hf.distributed import leave
from emo_hf.errors import UserError
from emo_hf.redaction import start_logging
from emo_hf.storage.files import said_plainly
from emo_hf.storage.lock import held
from emo_hf.training.threads import take_cores


@dataclass
class RepetitionArguments:
    """A run that there was."""

    from_record: str | None = field(
        default=None,
        metadata={"help": "record.json of a run, to run it again, in runs/again; what else is given here overrides"},
    )


def main(argv: list[str] | None = None) -> int:
    """Run the recipe; 0 if all is well, 2 for a mistake in the input, which is said in one line."""
    folder = None
    try:
        argv = sys.argv[1:] if argv is None else argv
        again, words, settings = parse_arguments([RepetitionArguments], argv, partial=True)
        if again.from_record:
            from emo_hf.study.rerun import check_same, read_again, settings_of

            record = read_again(again.from_record)
            settings = settings_of(record, named(argv)) | settings
        model, data, training = parse_arguments(
            [ModelArguments, DataArguments, MetricTrainingArguments], words, settings=settings, description=__doc__
        )
        # Only now: they take as long to import as all else, and --help has no use for them.
        from emo_hf.hub.upload import check_access, push
        from emo_hf.storage.record import is_done, summary
        from emo_hf.training.names import run_name
        from emo_hf.training.run import check_arguments, load_data, run

        if again.from_record:
            check_same(record, data, training.world_size, named(argv))
        repo_id = None
        if training.push_to_hub:
            training.push_to_hub = False  # Trainer's own push would upload its arguments as a pickle, at every save
            if training.process_index == 0:
                name = run_name(model.encoder, model.pooling, training.aux, training.seed)
                repo_id = check_access(training.hub_model_id, private=training.hub_private_repo, default_name=name)
        check_arguments(model, data, training)
        load_data(data)  # before there is a folder
        training.output_dir = training.output_dir.replace(
            "{name}", run_name(model.encoder, model.pooling, training.aux, training.seed)
        )
        folder = Path(training.output_dir)
        if is_done(folder) and training.process_index == 0:
            print(
                f"{folder} holds a finished run, which this one replaces; another --output_dir keeps both",
                file=sys.stderr,
            )
        way_out = "stop it, or give another --output_dir"
        alone = held(folder, way_out) if training.process_index == 0 else contextlib.nullcontext()
        with said_plainly(training.output_dir), alone:
            record = run(model, data, training)
        if training.process_index == 0:
            print(f"trained on {training.device} in {precision(training)}")
            print(summary(record))
        if repo_id:
            print(f"pushed to {push(folder, record, repo_id)}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = folder is not None and any(folder.glob("checkpoint-*"))
        way_on = (
            "; --resume_from_checkpoint last goes on from its last checkpoint"
            if goes_on
            else " before its first checkpoint; the same command begins anew"
        )
        print(f"\nstopped{way_on}", file=sys.stderr)  # below the bar, which ends no line of its own
        return 130
    return 0


if __name__ == "__main__":
    start_logging()
    take_cores()
    leave(main())
