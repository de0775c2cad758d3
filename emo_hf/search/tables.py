"""What is written of a search: the table of its trials, and the arguments of the best as a config file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import yaml

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.escaping import markdown_name
from emo_hf.losses.capabilities import counted
from emo_hf.study.variations import describe, joined, split

# A grid has several of them where nothing is said: they are always said.
_NAMED = ("encoder", "pooling", "aux")
_OF_THE_SEARCH = ("output_dir", "run_name")


def caution(count: int) -> str:
    """What has to be known of the best of `count` trials."""
    return (
        f"The best validation score of {count} trials is optimistic: it is the highest of many. No trial saw a test "
        "row; test scores, over several seeds, come from `make compare` or compare.py."
    )


def trials_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The trials as a table, the best first, with the caution that it needs."""
    names = list(dict.fromkeys(name for row in rows for name in row["settings"]))
    # Trials that were ended early, by how far they came; then those that failed.
    ordered = sorted(rows, key=lambda row: (-(row["validation_macro_f1"] or 0), -row["epochs"], row["trial"]))
    lines = [
        "| " + " | ".join(["Trial", *names, "Validation macro-F1", "Epoch", "Seconds"]) + " |",
        "| ---: " + "| --- " * len(names) + "| ---: | ---: | ---: |",
    ]
    for row in ordered:
        values = [
            markdown_name(describe(((n, row["settings"][n]),)).partition("=")[2]) if n in row["settings"] else "–"
            for n in names
        ]
        score = row["validation_macro_f1"]
        shown = f"{100 * score:.1f}" if score is not None else row["state"]
        epoch = row["epoch"] if score is not None else row["epochs"]
        lines.append(
            "| " + " | ".join([str(row["trial"]), *values, shown, str(epoch), f"{row['seconds']:.0f}"]) + " |"
        )
    return "\n".join([*lines, "", caution(len(rows)), ""])


def best_yaml(
    model: ModelArguments, data: DataArguments, training: dict[str, Any], best: dict[str, Any], count: int
) -> str:
    """The arguments of a trial that differ from their defaults, as `train.py --config` and `compare.py --config` read.

    `training` holds the arguments of `MetricTrainingArguments` that all trials share.
    """
    shared = {**asdict(model), **asdict(data), **MetricTrainingArguments(**training).to_dict()}
    usual = {**asdict(ModelArguments()), **asdict(DataArguments()), **MetricTrainingArguments().to_dict()}
    differing = {name: value for name, value in shared.items() if value != usual[name] and name not in _OF_THE_SEARCH}
    of_model, of_data, of_training = split(tuple(best["settings"].items()))
    content = joined({**{name: shared[name] for name in _NAMED}, **differing, **of_model, **of_data}, of_training)
    content = counted(content["aux"], content)  # other trials may have had a loss that takes more
    head = (
        f"# Trial {best['trial']} of {count}, for its validation macro-F1 of {best['validation_macro_f1']:.4f}.\n"
        "# That score is optimistic, the highest of many; test scores come from compare.py --config with this file.\n"
    )
    return head + yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
