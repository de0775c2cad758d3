"""What a study can be told: its grid. Apart from what runs it, which takes as long to import as all else."""

from __future__ import annotations

from dataclasses import dataclass, field

from emo_hf.arguments.bounds import check_numbers
from emo_hf.errors import UserError

BACKENDS = ("local", "dask")
TUNING_SEED = 1_000_003  # of all that tuning draws and trains, in every study; no seed of a run


@dataclass
class GridArguments:
    """The grid of a study: every encoder with every pooling, every loss and every seed."""

    encoders: list[str] = field(
        default_factory=lambda: ["tiny-bert", "tiny-roberta"], metadata={"help": "as --encoder of train.py, several"}
    )
    poolings: list[str] = field(
        default_factory=lambda: ["cls", "mean"], metadata={"help": "cls, mean, max, attention, last"}
    )
    aux: list[str] = field(
        default_factory=lambda: ["none", "contrastive", "triplet"], metadata={"help": "auxiliary losses"}
    )
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3], metadata={"help": "one run of each model a seed"})
    over: list[str] = field(
        default_factory=list,
        metadata={"help": "further arguments and their values: learning_rate=1e-4,3e-4 margin=0.5,1"},
    )
    tune: int | None = field(
        default=None,
        metadata={
            "help": "tune every model on validation data with as many draws of its settings, the first being those "
            "that it has anyway; then train the seeds with the best"
        },
    )
    tune_space: list[str] = field(
        default_factory=list,
        metadata={
            "help": "what --tune varies, `name=low..high`, `name=a,b,c` or `aux_kwargs.NAME=...`; default: learning "
            "rate, dropout, batch size and what the loss has"
        },
    )
    study_dir: str = field(default="runs/compare", metadata={"help": "folder of the study"})
    jobs: int | None = field(
        default=None, metadata={"help": "runs side by side on this machine; default one a CPU core, or one a GPU"}
    )
    backend: str = field(
        default="local", metadata={"help": "where the runs go: local, or dask, one run a worker of --scheduler"}
    )
    scheduler: str | None = field(
        default=None, metadata={"help": "address of a running Dask scheduler, as tcp://host:8786"}
    )

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.tune_space and self.tune is None:
            raise UserError(f"--tune_space is {' '.join(self.tune_space)}, but nothing is tuned; add --tune 8")
        if self.tune is not None and TUNING_SEED in self.seeds:
            raise UserError(f"--seeds has {TUNING_SEED}, which is the seed that --tune draws by; give another one")
        if self.backend not in BACKENDS:
            raise UserError(f"--backend is {self.backend!r}; allowed: {', '.join(BACKENDS)}")
        if self.backend == "dask" and not self.scheduler:
            raise UserError(
                "--backend dask needs the address of a running scheduler; give it as --scheduler tcp://host:8786"
            )
        if self.backend == "dask" and self.jobs is not None:
            raise UserError(f"--jobs is {self.jobs}, but --backend dask has one run a worker; leave --jobs out")
        if self.backend == "local" and self.scheduler:
            raise UserError(
                f"--scheduler is {self.scheduler!r}, but --backend is local; add --backend dask, or leave it out"
            )
