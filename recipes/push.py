"""Push a trained model, or the models of a study, to the Hub: weights, tokenizer, code, card and record.

    python recipes/push.py runs/train/tiny-bert_mean_triplet_seed42 --hub_model_id me/my-emotions
    python recipes/push.py runs/compare --which best
    python recipes/push.py runs/train/bert-base_cls_none_seed42 --lora_push adapter    # of a run with --lora
    python recipes/push.py runs/compare --which all --hub_prefix me/emotions    # a repository each, one collection

Log in first: `hf auth login`, or set HF_TOKEN. Of each model of a study the run of median macro-F1 is pushed; the
best model is the one with the best mean macro-F1 on the validation split. What is pushed already is not sent again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command


@command(stopped="stopped; the same command goes on where it was")
def main(argv: Sequence[str]) -> None:
    """Check every repository, then push the models, one after the other."""
    parser = CommandParser(__doc__)
    parser.add_argument("path", type=Path, help="folder of a run, or of a study")
    parser.add_argument("--hub_model_id", help="repository, with or without owner; default: the run's name")
    parser.add_argument("--hub_private_repo", action="store_true", help="make new repositories private")
    parser.add_argument("--which", choices=["best", "all"], default="best", help="models of a study")
    parser.add_argument("--hub_prefix", default="emo_hf", help="of the names of a study's repositories")
    parser.add_argument(
        "--lora_push",
        choices=["merged", "adapter"],
        default="merged",
        help="of runs with --lora: a whole model, or adapters and head alone, which are loaded with peft",
    )
    arguments = parser.parse_words(argv)
    # Only now: --help has no use for them.
    from emo_hf.hub.adapter import check_adapter
    from emo_hf.hub.upload import check_access, chosen_runs, collect, push
    from emo_hf.storage.record import is_done, read_record
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()
    private, lora = arguments.hub_private_repo or None, arguments.lora_push
    record = read_record(arguments.path) if is_done(arguments.path) else None
    if record is not None:
        if record["kind"] != "model":
            raise UserError(
                f"{arguments.path} is the run of a baseline, which has no model to push; give a model's run"
            )
        if lora == "adapter":
            check_adapter(arguments.path, record)
        repo_id = check_access(arguments.hub_model_id, private=private, default_name=record["run_id"])
        print(f"pushed to {push(arguments.path, record, repo_id, lora=lora)}")
        return
    chosen = chosen_runs(arguments.path, arguments.which)
    names = [f"{arguments.hub_prefix}-{run['run_id'].rpartition('_seed')[0]}" for run, _ in chosen]
    if arguments.hub_model_id:
        if len(chosen) > 1:
            raise UserError("--hub_model_id names one repository; for all models of a study give --hub_prefix")
        names = [arguments.hub_model_id]
    for run, _ in chosen if lora == "adapter" else ():
        check_adapter(run["directory"], run)
    # Every repository is checked before the first upload.
    repo_ids = [check_access(name, private=private, default_name=name) for name in names]
    for (run, seeds), repo_id in zip(chosen, repo_ids, strict=True):
        print(f"pushed to {push(run['directory'], run, repo_id, seeds=seeds, lora=lora)}")
    if len(repo_ids) > 1:
        title = f"{arguments.hub_prefix.split('/')[-1]}: {arguments.path.name}"
        print(f"collection {collect(title, repo_ids, private=bool(private))}")


if __name__ == "__main__":
    sys.exit(main())
