"""The `--help` of recipes with dataclasses of arguments: what matters, in groups; all of Trainer's on request."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

_LOSS = ("aux", "margin", "distance", "mining")  # how the names of the loss's arguments begin
# Of what Trainer has beyond our own, what a run is often given; in fewer words than Trainer's.
_OFTEN = {
    "seed": "of the head, the order of the batches and dropout",
    "max_steps": "steps to train, in place of --num_train_epochs; -1 for none",
    "gradient_accumulation_steps": "batches whose gradients make one step",
    "torch_compile": "compile the model first: slow to start, then faster",
    "use_cpu": "train on the CPU though there is an accelerator",
    "report_to": "trackers: tensorboard, wandb, trackio and others, or none",
    "resume_from_checkpoint": "go on from a checkpoint of --output_dir: its folder, or last",
    "push_to_hub": "push the model when it is trained",
    "hub_model_id": "repository to push to, with or without owner; default: the run's name",
    "hub_private_repo": "make a new repository private",
}


def asked_for_help(argv: Sequence[str]) -> bool:
    """Whether the words ask for help, as `--help` or `--help all`."""
    return "--help" in argv or "-h" in argv


def help_text(classes: Sequence[type], argv: Sequence[str], description: str | None) -> str:
    """The help for the fields of dataclasses; with `--help all` in `argv`, those that Trainer has beside ours too."""
    shown = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name,
        usage="%(prog)s [--config FILE.yaml] [--NAME VALUE ...]",
        description=description,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32, width=110),
        add_help=False,
    )
    general = shown.add_argument_group("general")
    general.add_argument("--config", metavar="FILE.yaml", help="defaults for all arguments; the command line wins")
    general.add_argument("--help", metavar="all", nargs="?", help="this help; `--help all` has Trainer's too")
    everything = "all" in argv
    left, seen = 0, {"config", "help"}
    groups: dict[str, Any] = {}
    for title, field in _fields(classes):
        if field.name in seen:  # a grid has several of what one run has one of
            continue
        seen.add(field.name)
        if title == "trainer" and not everything:
            left += 1
            continue
        if title not in groups:
            groups[title] = shown.add_argument_group(title)
        groups[title].add_argument(f"--{field.name}", metavar=_metavar(field), help=_explained(field))
    if left:
        shown.epilog = f"{left} further arguments are Trainer's own, of transformers; `--help all` shows them."
    return shown.format_help()


def _fields(classes: Sequence[type]) -> Iterator[tuple[str, dataclasses.Field]]:
    """Every field with the title of its group; of the training's arguments our own come first, then the usual."""
    for cls in classes:
        fields = [field for field in dataclasses.fields(cls) if field.init]
        title = cls.__name__.removesuffix("Arguments").lower()
        if not issubclass(cls, TrainingArguments):
            yield from ((title, field) for field in fields)
            continue
        ours = {
            name for base in cls.__mro__ if not issubclass(TrainingArguments, base) for name in base.__annotations__
        }
        own = [field for field in fields if field.name in ours]
        own += [field for field in fields if field.name in _OFTEN and field not in own]
        yield from (("loss", field) for field in own if field.name.startswith(_LOSS))
        yield from (("training", field) for field in own if not field.name.startswith(_LOSS))
        yield from (("trainer", field) for field in fields if field not in own)


def _metavar(field: dataclasses.Field) -> str:
    kinds = (("list", "V ..."), ("bool", "true"), ("int", "N"), ("float", "X"))
    return next((shown for kind, shown in kinds if kind in str(field.type)), "V")


def _explained(field: dataclasses.Field) -> str:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    if isinstance(default, list):
        default = " ".join(map(str, default))
    said = _OFTEN.get(field.name) or " ".join(str(field.metadata.get("help", "")).split())
    shown = "" if default in (None, "", dataclasses.MISSING) else f" (default: {getattr(default, 'value', default)})"
    return (said + shown).replace("%", "%%").strip()
