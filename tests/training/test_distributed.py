"""Several processes against one: equal parameters after training on the joint batch, for every loss and mining."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from objective_cases import PRODUCT, works
from places import ROOT
from warm import Warm

from emo_hf.losses.capabilities import CAPABILITIES
from emo_hf.losses.pairs import MININGS_OF_SETS

# What a constructor takes beside the product.
OPTIONS = {
    "contrastive, balanced": [("contrastive", "all", "batch", 0), {"aux_kwargs": {"balanced": True}}],
    "triplet, mean over valid": [("triplet", "all", "batch", 0), {"aux_kwargs": {"reduction": "valid"}}],
    "triplet, soft": [("triplet", "hard", "accumulated", 0), {"aux_kwargs": {"soft": True}}],
    "triplet, cosine": [("triplet", "all", "batch", 0), {"distance": "cosine", "margin": 0.3}],
}

# The same losses for rows with several labels each.
OF_SETS = {
    f"sets: {'-'.join(map(str, case))}": [case, {}, True]
    for case in PRODUCT
    if works(case) and case[0] in CAPABILITIES and case[0] != "none" and case[1] in MININGS_OF_SETS
} | {
    "sets: contrastive, any": [("contrastive", "all", "batch", 0), {"aux_kwargs": {"overlap": "any"}}, True],
    "sets: supcon, equal": [("supcon", "all", "batch", 20), {"aux_kwargs": {"overlap": "equal"}}, True],
    "sets: triplet, valid": [("triplet", "all", "accumulated", 0), {"aux_kwargs": {"reduction": "valid"}}, True],
}

SCRIPT = """
import contextlib, json, sys
from types import SimpleNamespace
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from objective_cases import objective
from emo_hf.distributed import gather_rows, leave
from emo_hf.models.modeling import label_set_loss
import emo_hf.training.objective

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.set_default_dtype(torch.float64)
SIZE, CLASSES, MICRO_BATCHES = 6, 8, 2
torch.manual_seed(0)
labels = torch.stack([
    torch.randint(3, (world, SIZE)),                       # all mixed
    torch.arange(world)[:, None].expand(world, SIZE),      # one class on each rank
    torch.randint(2, (world, SIZE)),
])
labels[2, -1] = torch.arange(2, 2 + SIZE)                  # the last rank has no pair of one class at all
inputs = torch.randn(*labels.shape, 5)
rows = torch.arange(labels.numel()).reshape(labels.shape)
sets = (torch.rand(*labels.shape, CLASSES) < 0.4).double()
sets[:, :, 0] = 0                                          # without a label
sets[1, -1] = 1                                            # all labels on every row of a rank
for part in (labels, inputs, rows, sets):                  # the first batch holds a row twice, on two ranks
    part[0, -1, -1] = part[0, 0, -1]
all_parts = {
    of_sets: {"input_ids": inputs, "labels": sets if of_sets else labels, "rows": rows} for of_sets in (False, True)
}
of_objective = emo_hf.training.objective


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, CLASSES))

    def forward(self, input_ids, labels=None):
        return SimpleNamespace(embeddings=self.layers(input_ids))


def train(model, steps, case, more):
    of = objective(case, CLASSES, CLASSES, len(steps[0]), aux_weight=0.5, **more)
    optimizer = torch.optim.SGD([*model.parameters(), *of.parameters], lr=0.1)
    start = [p.detach().clone() for p in of.parameters]
    for step, batches in enumerate(steps):
        of.begin_step(batches)
        for number, batch in enumerate(batches):
            alone = number == len(batches) - 1 or not isinstance(model, DistributedDataParallel)
            with contextlib.nullcontext() if alone else model.no_sync():
                of.before_forward(model, dict, step)
                embeddings = model(batch["input_ids"]).embeddings
                term, _ = of.term(embeddings, batch["labels"], batch["rows"], step, len(steps))
                plain = label_set_loss if batch["labels"].ndim == 2 else torch.nn.functional.cross_entropy
                entropy = plain(embeddings, batch["labels"])
                ((entropy + term) / len(batches)).backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = max((float((p.detach() - s).abs().max()) for p, s in zip(of.parameters, start)), default=None)
    return torch.cat([p.detach().flatten() for p in [*model.parameters(), *of.parameters]]), moved


def one_process(parts, case, more):
    # The joint batch of all processes, an accumulated pool as one batch.
    chunks = 1 if case[2] == "accumulated" else MICRO_BATCHES
    def joint(values):
        return [part.flatten(0, 1) for part in values.chunk(chunks, 1)]
    by_step = [[joint(p[step]) for p in parts.values()] for step in range(len(labels))]
    steps = [[dict(zip(parts, batch)) for batch in zip(*of_step)] for of_step in by_step]
    gather = of_objective.gather_embeddings, of_objective.gather_rows, of_objective.world_size
    of_objective.gather_embeddings = of_objective.gather_rows = lambda values: values
    of_objective.world_size = lambda: 1
    try:
        return train(Network(), steps, case, more)
    finally:
        of_objective.gather_embeddings, of_objective.gather_rows, of_objective.world_size = gather


start = torch.cat([p.detach().flatten() for p in Network().parameters()])
result = {"world": world}
for name, (case, more, *of_sets) in json.loads(sys.argv[1]).items():
    case, parts = tuple(case), all_parts[bool(of_sets)]
    one, proxies = one_process(parts, case, more)
    own = [[{n: p[step, rank].chunk(MICRO_BATCHES)[k] for n, p in parts.items()} for k in range(MICRO_BATCHES)]
           for step in range(len(labels))]
    several, moved = train(DistributedDataParallel(Network()), own, case, more)
    result[name] = {"moved": float((one[: len(start)] - start).abs().max()), "proxies": proxies,
                    "apart": float((gather_rows(several[None]) - one).abs().max())}
if rank == 0:
    open(sys.argv[2], "w").write(json.dumps(result))
leave(0)
"""


def launch(warm: Warm, script: Path, processes: int, *arguments: str) -> None:
    """What torchrun does, without three starts of an interpreter; the recipe below is started by torchrun itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    shared |= {"LOCAL_WORLD_SIZE": str(processes)}
    ranks = [
        warm.start([str(script), *arguments], environment=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    assert [rank.wait() for rank in ranks] == [0] * processes, "\n".join(rank.err()[-3000:] for rank in ranks)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_train_as_one_with_the_joint_batch(warm: Warm, processes: int, tmp_path: Path) -> None:
    """Every combination of loss, mining, pool and memory that works at all, in one start of the processes."""
    # Three processes find what two don't of our losses' gathering alone.
    product = [
        case for case in PRODUCT if works(case) and case[0] != "none" and (processes == 2 or "pml" not in case[0])
    ]
    cases = {"-".join(map(str, case)): [case, {}] for case in product} | OPTIONS | OF_SETS
    script, out = tmp_path / "script.py", tmp_path / "out.json"
    script.write_text(SCRIPT, encoding="utf-8")
    launch(warm, script, processes, json.dumps(cases), str(out))
    result = json.loads(out.read_text())
    assert result.pop("world") == processes
    assert set(result) == set(cases)
    for name, found in result.items():
        assert found["moved"] > 1e-2, name
        assert found["apart"] < 1e-12, (name, found)
        assert (found["proxies"] is not None) == ("Proxy" in name or "Arc" in name), name
        assert found["proxies"] is None or found["proxies"] > 1e-3, name


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_configuration_and_its_command_names_it(path: Path) -> None:
    found = load_config_from_file(str(path))
    assert found.num_processes >= 1 and found.use_cpu == (path.stem == "cpu")
    assert f"accelerate launch --config_file recipes/accelerate/{path.name} " in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "batches"), [(1, "rows"), (2, "rows"), (2, "tokens")])
def test_the_recipe_trains_on_processes(warm, processes, batches, csv_file, encoders, tmp_path) -> None:
    """With n-grams and adapters, by accelerate and recipes/accelerate/cpu.yaml, and on two processes by torchrun."""
    size = f"per_device_train_batch_size {16 // processes}" if batches == "rows" else "tokens_per_batch 128"
    accelerate = ["accelerate.commands.launch", "--config_file", str(ROOT / "recipes" / "accelerate" / "cpu.yaml")]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = (
        f"--data {csv_file} --encoder {encoders['bert']} --pooling mean --aux triplet --embedding_dropout 0"
        " --max_length 32 --num_train_epochs 3 --bf16 false --learning_rate 1e-3 --disable_tqdm true --ngrams 3"
        " --lora r=8"
        f" --{size} --output_dir {tmp_path / 'run'}"
    ).split()
    launcher = ["-m", *(accelerate if processes == 1 else torchrun)]
    process = warm.start([*launcher, str(ROOT / "recipes" / "train.py"), *words])
    assert process.wait() == 0, process.err()[-3000:]
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["status"] == "completed" and record["hardware"]["processes"] == processes
    assert sum(map(sum, record["test"]["confusion_matrix"])) == 60  # rows that fill up the last batch are not counted
    assert record["history"][-1]["train_loss"] < record["history"][0]["train_loss"]
