"""Training by adapters: what moves, what a checkpoint holds, resuming, every loss, studies, and what comes after."""

from __future__ import annotations

import json
import shlex
import shutil
from types import SimpleNamespace

import pytest
import torch
from compare import main as compare
from lineage import start
from pages import TEXTS, commands_of
from safetensors.torch import load_file
from test_distributed import launch
from test_training import run_until, weights
from train import main as train

from emo_hf import Predictor
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pretrained import build_model
from emo_hf.storage.record import read_record, summary
from emo_hf.training.adapted import refuse_shards
from emo_hf.training.run import make_trainer, run


@pytest.fixture
def trainer(encoders, csv_file, tmp_path):
    def make(*words, **training):
        settings = {"bf16": False, "disable_tqdm": True, "warmup_steps": 0, "max_steps": 1}
        made, _ = make_trainer(
            ModelArguments(encoder=encoders["bert"], embedding_size=16, ngrams=2, lora=list(words)),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(output_dir=str(tmp_path / "run"), **(settings | training)),
            load_emotion_data(csv_file),
        )
        return made

    return make


LOSSES = {
    "none": {},
    "contrastive": {"aux": "contrastive"},
    "triplet": {"aux": "triplet", "r_drop": 1.0},
    "supcon": {"aux": "supcon"},
    "memory": {"aux": "contrastive", "aux_memory": 20},
    "accumulated": {
        "aux": "triplet",
        "aux_pool": "accumulated",
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 8,
    },
    "pml": {"aux": "pml:ProxyAnchorLoss"},
}


@pytest.mark.parametrize(
    ("words", "loss"),
    [(["r=2"], loss) for loss in LOSSES] + [(["r=2", "weights=bf16"], "pml"), (["r=2", "dropout=0.2"], "accumulated")],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_step_moves_adapters_and_heads_and_no_bit_of_the_encoder(trainer, words, loss):
    made = trainer(*words, **LOSSES[loss], learning_rate=1e-2, max_steps=2)
    before = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
    made.train()
    after = dict(made.model.named_parameters())
    assert all(torch.isfinite(value).all() for value in after.values())
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {name for name, value in after.items() if value.requires_grad}
    assert {name.split(".")[0] for name in moved} == {"encoder", "embedding", "classifier", "ngrams"}
    held = {id(parameter) for group in made.optimizer.param_groups for parameter in group["params"]}
    assert held == {id(value) for value in after.values() if value.requires_grad} | set(map(id, made._proxies))
    assert all(proxy.dtype == torch.float32 for proxy in made._proxies)


def test_recomputed_activations_give_the_same_gradients(trainer):
    found = []
    for again in (False, True):
        made = trainer("r=2", gradient_checkpointing=again)
        made.train()
        found.append({name: value for name, value in made.model.named_parameters() if ".lora_" in name})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, atol=1e-6, rtol=0)


@pytest.fixture
def going(encoders, csv_file, tmp_path):
    """A run of 9 steps an epoch with a checkpoint every four."""

    def begin(name, stop=0, lora=("r=4", "dropout=0.1"), **training):
        settings = {
            "num_train_epochs": 2, "per_device_train_batch_size": 16, "bf16": False, "disable_tqdm": True,
            "save_strategy": "steps", "eval_strategy": "steps", "save_steps": 4, "eval_steps": 4, "aux": "triplet",
        }  # fmt: skip
        run_until(
            stop,
            ModelArguments(encoder=encoders["bert"], pooling="mean", embedding_size=16, lora=list(lora)),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(output_dir=str(tmp_path / name), **(settings | training)),
        )
        return tmp_path / name

    return begin


@pytest.mark.parametrize("lora", [("r=4", "dropout=0.1"), ("r=4", "weights=bf16")], ids="-".join)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(going, lora, encoders, csv_file):
    straight, stopped = going("straight", lora=lora), going("stopped", stop=14, lora=lora)
    checkpoint = stopped / "checkpoint-12"
    stored = load_file(checkpoint / "model.safetensors")
    assert stored and not [name for name in stored if name.startswith("encoder.") and ".lora_" not in name]
    optimizer = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    assert len(optimizer["state"]) == len(stored)
    for refused in (lambda: Predictor(checkpoint), lambda: ModelArguments(init_from=str(checkpoint))):
        with pytest.raises(UserError, match="holds adapters of LoRA and no encoder; end its run with"):
            made = refused()
            run(made, DataArguments(data=csv_file), MetricTrainingArguments(output_dir=str(stopped / "x")))
    with pytest.raises(UserError, match=r"has not ended .* its checkpoints hold adapters of LoRA"):
        build = ModelArguments(encoder=str(stopped))
        run(build, DataArguments(data=csv_file), MetricTrainingArguments(output_dir=str(stopped / "x")))
    with pytest.raises(UserError, match="--lora was"):
        going("stopped", lora=("r=5",), resume_from_checkpoint="last")
    going("stopped", lora=lora, resume_from_checkpoint="last")
    assert weights(stopped) == weights(straight)
    assert read_record(stopped)["test"] == read_record(straight)["test"]
    name = "adapter/adapter_model.safetensors"
    assert (stopped / name).read_bytes() == (straight / name).read_bytes()


def test_a_run_leaves_a_whole_model_and_its_adapters(going, encoders, csv_file, tmp_path, caplog):
    folder = going("run", lora=("r=4", "weights=bf16"), learning_rate=1e-2)
    record = read_record(folder)
    assert record["model"]["lora"] == {
        "r": 4, "alpha": 8, "dropout": 0.0, "target": "all-linear", "weights": "bf16",
    }  # fmt: skip
    assert 0 < record["model"]["trained_parameters"] < record["model"]["parameters"]
    assert summary(record).startswith("mini-bert, LoRA r=4 weights=bf16, mean pooling")
    model = EmotionModel.from_whole(str(folder))
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    base = build_model(ModelArguments(encoder=encoders["bert"]), ["a", "b"])
    name = "encoder.encoder.layer.0.attention.self.query.weight"
    kept = model.state_dict()["encoder.embeddings.word_embeddings.weight"]
    assert torch.equal(kept, base.state_dict()["encoder.embeddings.word_embeddings.weight"].bfloat16().float())
    assert not torch.equal(model.state_dict()[name], base.state_dict()[name].bfloat16().float())
    assert "missing keys" not in caplog.text
    # What is tested is what is saved.
    found = Predictor(folder, max_length=32)(load_emotion_data(csv_file).splits["test"]["text"][:])
    labels = record["data"]["labels"]
    right = [max(row, key=row.get) for row in found]
    true = [labels[i] for i in load_emotion_data(csv_file).splits["test"]["label"][:]]
    assert sum(a == b for a, b in zip(right, true, strict=True)) / len(true) == pytest.approx(
        record["test"]["accuracy"]
    )
    data = DataArguments(data=csv_file, max_length=32)
    child = start(tmp_path / "child", ModelArguments(init_from=str(folder), lora=["r=2"]), data, max_steps=2)
    assert child["model"]["lora"]["r"] == 2 and child["model"]["parent"]["kept"][0] == "encoder"
    other = start(tmp_path / "other", ModelArguments(encoder=str(folder)), data, max_steps=2)
    assert "lora" not in other["model"] and not (tmp_path / "other" / "adapter").exists()
    shutil.copytree(folder, tmp_path / "again")
    start(tmp_path / "again", ModelArguments(encoder=encoders["bert"]), data, max_steps=2)
    assert not (tmp_path / "again" / "adapter").exists()  # those of the run that it replaced


def test_a_study_asks_what_adapters_cost(speck, tmp_path, capsys):
    encoder, rows = speck
    words = ["--data", rows, "--encoders", encoder, "--poolings", "mean", "--aux", "none", "--embedding_size", "16"]
    words += ["--seeds", "1", "2", "--num_train_epochs", "1", "--max_length", "32", "--bf16", "false"]
    over = "lora=none,r=2,r=4 target=query+value"
    assert compare([*words, "--over", over, "--study_dir", str(tmp_path / "study")]) == 0
    assert "lora=r=2 over lora=none" in capsys.readouterr().out
    records = [json.loads(path.read_text()) for path in (tmp_path / "study").glob("*/record.json")]
    rates = {
        str(record["model"].get("lora")): record["arguments"]["training"]["learning_rate"]
        for record in records
        if record["kind"] == "model"
    }
    assert sorted(rates.values()) == pytest.approx([3e-5, 3e-4, 3e-4])
    assert compare([*words, "--lora", "r=2", "--study_dir", str(tmp_path / "all")]) == 0
    assert "speck, LoRA r=2" in capsys.readouterr().out


def test_several_labels_a_row_take_adapters(encoders, sets_file, tmp_path):
    model = ModelArguments(encoder=encoders["bert"], embedding_size=16, lora=["r=2"])
    data = DataArguments(data=sets_file, max_length=32, labels=["all"])
    record = start(tmp_path / "sets", model, data, aux="supcon", max_steps=2)
    assert record["model"]["lora"]["r"] == 2 and "micro_f1" in record["test"]


SCRIPT = """
import json, sys
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from objective_cases import objective
from transformers import BertConfig
from emo_hf.arguments.lora import LoraSettings
from emo_hf.distributed import gather_rows, leave
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.lora import add_lora
from emo_hf.models.modeling import EmotionModel
import emo_hf.training.objective as of_objective

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
CASE, SIZE, STEPS = ("triplet", "all", "batch", 0), 5, 3


def adapted():
    torch.manual_seed(1)
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    still = {"intermediate_size": 24, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    encoder = BertConfig(**sizes, **still)
    config = EmotionConfig(encoder=encoder, labels=["a", "b", "c"], embedding_size=8, embedding_dropout=0.0)
    return add_lora(EmotionModel(config), LoraSettings(r=2)).double()


torch.manual_seed(rank)
ids, labels = torch.randint(5, 50, (STEPS, SIZE, 7)), torch.randint(3, (STEPS, SIZE))
rows = (torch.arange(STEPS * SIZE) + 100 * rank).reshape(STEPS, SIZE)
parts = {"ids": ids, "labels": labels, "rows": rows}


def train(model, parts):
    of = objective(CASE, 3, 8, 1, aux_weight=0.5)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.3)
    for step in range(STEPS):
        ids, labels, rows = (values[step] for values in parts.values())
        of.begin_step([{"input_ids": ids, "labels": labels, "rows": rows}])
        of.before_forward(model, dict, step)
        output = model(input_ids=ids, labels=labels)
        term, _ = of.term(output.embeddings, labels, rows, step, STEPS)
        (output.loss + term).backward()
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])


joint = {name: torch.stack([gather_rows(step) for step in values]) for name, values in parts.items()}
start = torch.cat([p.detach().flatten() for p in adapted().parameters() if p.requires_grad])
several = train(DistributedDataParallel(adapted()), parts)
of_objective.gather_embeddings = of_objective.gather_rows = lambda values: values
of_objective.world_size = lambda: 1
one = train(adapted(), joint)
if rank == 0:
    found = {"world": world, "apart": (several - one).abs().max().item(), "moved": (one - start).abs().max().item()}
    open(sys.argv[1], "w").write(json.dumps(found))
leave(0)
"""


def test_two_processes_train_as_one_with_the_joint_batch(warm, tmp_path):
    script, out = tmp_path / "script.py", tmp_path / "out.json"
    script.write_text(SCRIPT, encoding="utf-8")
    launch(warm, script, 2, str(out))
    found = json.loads(out.read_text())
    assert found["world"] == 2 and found["moved"] > 1e-3 and found["apart"] < 1e-12, found


def test_fsdp_is_refused_in_one_line():
    with pytest.raises(UserError, match="--lora keeps a whole model in each process, but FSDP parts it"):
        refuse_shards(SimpleNamespace(is_fsdp_enabled=True))


GUIDES = {"encoders.md": "LoRA", "ko.md": "LoRA"}


@pytest.mark.parametrize("guide", GUIDES)
def test_the_recipe_takes_the_words_of_the_guide(guide, encoders, csv_file, tmp_path, capsys):
    section = TEXTS[f"recipes/guides/{guide}"].split(f"## {GUIDES[guide]}\n")[1].split("\n## ")[0]
    whole, half, *_ = [shlex.split(c, comments=True) for c in commands_of(section) if "recipes/train.py" in c]
    assert whole[whole.index("--lora") :] == ["--lora", "r=16", "target=all-linear"] and "weights=bf16" in half
    command = half if guide == "ko.md" else whole
    words = [word.replace("klue/bert-base", encoders["bert"]) for word in command[command.index("--encoder") :]]
    words += ["--data", csv_file, "--max_length", "32", "--max_steps", "2", "--output_dir", str(tmp_path / "run")]
    assert train(words) == 0
    assert "mini-bert, LoRA r=16" in capsys.readouterr().out
