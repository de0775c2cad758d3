"""Several processes against one: equal parameters after training on the joint batch, for every loss and mining."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from places import ROOT
from warm import Warm

CASES = {
    "contrastive, all": ["contrastive", {}],
    "contrastive, balanced": ["contrastive", {"balanced": True}],
    "contrastive, hard": ["contrastive", {"mining": "hard"}],
    "contrastive, sampled": ["contrastive", {"mining": "sampled"}],
    "triplet, all": ["triplet", {}],
    "triplet, all, mean over valid": ["triplet", {"reduction": "valid"}],
    "triplet, semi-hard": ["triplet", {"mining": "semi-hard"}],
    "triplet, hard": ["triplet", {"mining": "hard"}],
    "triplet, hard, soft": ["triplet", {"mining": "hard", "soft": True}],
    "triplet, sampled": ["triplet", {"mining": "sampled"}],
    "triplet, cosine": ["triplet", {"distance": "cosine", "margin": 0.3}],
    "supcon": ["supcon", {}],
}

SCRIPT = """
import contextlib, json, sys
from types import SimpleNamespace
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from emo_hf.training.gradient_cache import cache_step
from emo_hf.distributed import gather_embeddings, gather_rows, leave, world_size
from emo_hf.losses import build_loss

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.set_default_dtype(torch.float64)
SIZE, CLASSES = 6, 8
torch.manual_seed(0)
labels = torch.stack([
    torch.randint(3, (world, SIZE)),                       # all mixed
    torch.arange(world)[:, None].expand(world, SIZE),      # one class on each rank
    torch.randint(2, (world, SIZE)),
])
labels[2, -1] = torch.arange(2, 2 + SIZE)                  # the last rank has no pair of one class at all
inputs = torch.randn(*labels.shape, 5)
rows = torch.arange(labels.numel()).reshape(labels.shape)
for part in (labels, inputs, rows):                        # the first batch holds a row twice, on two ranks
    part[0, -1, -1] = part[0, 0, 0]


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, CLASSES))

    def forward(self, input_ids):
        return SimpleNamespace(embeddings=self.layers(input_ids))


def train(model, parts, together, aux, options, micro_batches=1):
    loss = build_loss(aux, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(len(labels)):
        x, y, r = (part[step] for part in parts)

        def metric(embeddings):
            rows, known = y, r
            if together:
                embeddings, rows, known = gather_embeddings(embeddings), gather_rows(y), gather_rows(r)
            return loss(embeddings, rows, rows=known, generator=torch.Generator().manual_seed(step))

        batches = [{"input_ids": part} for part in x.chunk(micro_batches)]
        targets = y.chunk(micro_batches)
        cached = cache_step(model, batches, lambda e: metric(torch.cat(e))) if micro_batches > 1 else None
        for number, (batch, target) in enumerate(zip(batches, targets, strict=True)):
            last = number == micro_batches - 1
            with contextlib.nullcontext() if last or not together else model.no_sync():
                embeddings = model(**batch).embeddings
                value = cached.surrogate(embeddings) if cached else metric(embeddings).loss
                entropy = torch.nn.functional.cross_entropy(embeddings, target)
                ((entropy + 0.5 * (world_size() if together else 1) * value) / micro_batches).backward()
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


start = torch.cat([p.detach().flatten() for p in Network().parameters()])
result = {"world": world}
for name, (aux, options) in json.loads(sys.argv[1]).items():
    parts = (inputs, labels, rows)
    one = train(Network(), [p.flatten(1, 2) for p in parts], False, aux, options)
    result[name] = {"moved": float((one - start).abs().max())}
    for micro_batches in (1, 3):  # the second with a pool over all micro-batches of all processes
        own = [p[:, rank] for p in parts]
        several = train(DistributedDataParallel(Network()), own, True, aux, options, micro_batches)
        result[name][f"apart, {micro_batches}"] = float((gather_rows(several[None]) - one).abs().max())
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
    script, out = tmp_path / "script.py", tmp_path / "out.json"
    script.write_text(SCRIPT, encoding="utf-8")
    launch(warm, script, processes, json.dumps(CASES), str(out))
    result = json.loads(out.read_text())
    assert result.pop("world") == processes
    assert set(result) == set(CASES)
    for name, found in result.items():
        assert found["moved"] > 1e-2, name
        assert found["apart, 1"] < 1e-12, (name, found)
        assert found["apart, 3"] < 1e-12, (name, found)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_configuration_and_its_command_names_it(path: Path) -> None:
    found = load_config_from_file(str(path))
    assert found.num_processes >= 1 and found.use_cpu == (path.stem == "cpu")
    assert f"accelerate launch --config_file recipes/accelerate/{path.name} " in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "batches"), [(1, "rows"), (2, "rows"), (2, "tokens")])
def test_the_recipe_trains_on_processes(warm, processes, batches, csv_file, encoders, tmp_path) -> None:
    """By accelerate with recipes/accelerate/cpu.yaml, and on two processes by torchrun; either way one record."""
    size = f"per_device_train_batch_size {16 // processes}" if batches == "rows" else "tokens_per_batch 128"
    accelerate = ["accelerate.commands.launch", "--config_file", str(ROOT / "recipes" / "accelerate" / "cpu.yaml")]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = (
        f"--data {csv_file} --encoder {encoders['bert']} --pooling mean --aux triplet --embedding_dropout 0"
        " --max_length 32 --num_train_epochs 3 --bf16 false --learning_rate 1e-3 --disable_tqdm true"
        f" --{size} --output_dir {tmp_path / 'run'}"
    ).split()
    launcher = ["-m", *(accelerate if processes == 1 else torchrun)]
    process = warm.start([*launcher, str(ROOT / "recipes" / "train.py"), *words])
    assert process.wait() == 0, process.err()[-3000:]
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["status"] == "completed" and record["hardware"]["processes"] == processes
    assert sum(map(sum, record["test"]["confusion_matrix"])) == 60  # rows that fill up the last batch are not counted
    assert record["history"][-1]["train_loss"] < record["history"][0]["train_loss"]
