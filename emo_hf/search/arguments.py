"""What a search can be told, apart from what runs it, which takes as long to import as all else."""

from __future__ import annotations

from dataclasses import dataclass, field

from emo_hf.arguments.bounds import check_numbers


@dataclass
class SearchArguments:
    """What a search varies, how often it tries, and where it stands."""

    space: list[str] = field(
        default_factory=list,
        metadata={"help": "arguments to vary, `name=low..high` or `name=a,b,c`; default: what the loss has"},
    )
    trials: int = field(default=20, metadata={"help": "trials in all; those that are done count"})
    search_dir: str = field(default="runs/search", metadata={"help": "folder of the search"})

    def __post_init__(self) -> None:
        check_numbers(self)
