"""A run that trained adapters on the Hub: merged weights, or the adapters alone, each used without emo_hf."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import hub_server
import numpy as np
import pytest
import torch
from huggingface_hub import HfApi
from lineage import start
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.hub.adapter import check_adapter
from emo_hf.hub.card import model_card
from emo_hf.hub.upload import push
from emo_hf.models.modeling import EmotionModel
from emo_hf.storage.record import ADAPTER_CONFIG_FILE, read_record
from emo_hf.storage.record import write_record as write

TEXT = "드디어 합격했어!"


@pytest.fixture
def server(monkeypatch):
    with hub_server.running() as found:
        client = lambda: HfApi(endpoint=found.endpoint, token=hub_server.TOKEN)  # noqa: E731
        monkeypatch.setattr("emo_hf.hub.upload.HfApi", client)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("emo_hf.hub.upload.draw_pictures", lambda record, run_dir: None)
        found.repos["tester/mini"] = hub_server.Repo()
        found.repos["tester/base"] = hub_server.Repo()
        yield found


@pytest.fixture
def tuned(encoders, csv_file, tmp_path, server, request) -> Path:
    """A run by adapters on an encoder that stands on the Hub, with attention pooling and n-grams."""
    encoder = encoders["bert"]
    for path in Path(encoder).iterdir():
        server.repos["tester/base"].files[path.name] = path.read_bytes()
    lora = ["r=4", f"weights={request.param}"]
    model = ModelArguments(encoder=encoder, embedding_size=16, pooling="attention", ngrams=2, lora=lora)
    data = DataArguments(data=csv_file, max_length=32)
    start(tmp_path / "run", model, data, max_steps=6, learning_rate=1e-2)
    record = read_record(tmp_path / "run")
    record["model"]["encoder"] = "tester/base"
    write(tmp_path / "run", record)
    return tmp_path / "run"


def logits(folder: Path) -> np.ndarray:
    model = EmotionModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer([TEXT], return_tensors="pt")).logits.numpy()


def outside(server: hub_server.Hub, folder: Path, script: str) -> np.ndarray:
    """The logits that a script leaves in `output`, in a process that has no emo_hf."""
    folder.mkdir()
    whole = f"import sys\nsys.modules['emo_hf'] = None\n{script}\nprint(output.logits.tolist())"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", whole],
        env={**clean, "OMP_NUM_THREADS": "1", **hub_server.environment(server, str(folder / "home"), None)},
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return np.array(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("tuned", ["fp32", "bf16"], indirect=True)
def test_the_snippet_of_an_adapters_card_gives_the_merged_model(server, tuned, tmp_path):
    record = read_record(tuned)
    push(tuned, record, "tester/mini", lora="adapter")
    files = server.repos["tester/mini"].files
    assert {"adapter_model.safetensors", "adapter_config.json", "config.json", "modeling.py", "record.json"} < set(
        files
    )
    assert "model.safetensors" not in files and not [name for name in files if name.startswith("adapter/")]
    assert len(files["adapter_model.safetensors"]) < (tuned / "model.safetensors").stat().st_size
    card = files["README.md"].decode()
    assert "library_name: peft" in card and "base_model: tester/base" in card and "it is Model" not in card
    [snippet] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    np.testing.assert_allclose(outside(server, tmp_path / "use", snippet), logits(tuned), atol=1e-5)
    commits = server.repos["tester/mini"].commits
    push(tuned, record, "tester/mini", lora="adapter")
    assert server.repos["tester/mini"].commits == commits  # nothing is new


@pytest.mark.parametrize("tuned", ["fp32"], indirect=True)
def test_merged_weights_replace_adapters_and_need_no_peft(server, tuned, tmp_path):
    record = read_record(tuned)
    push(tuned, record, "tester/mini", lora="adapter")
    push(tuned, record, "tester/mini")
    files = server.repos["tester/mini"].files
    assert "model.safetensors" in files and not [name for name in files if name.startswith("adapter")]
    assert (
        "low-rank adapters of the frozen encoder (LoRA r=4), which are merged into it" in files["README.md"].decode()
    )
    script = """
        import torch
        sys.modules["peft"] = None
        from transformers import AutoModel, AutoTokenizer
        model = AutoModel.from_pretrained("tester/mini", trust_remote_code=True).eval()
        tokenizer = AutoTokenizer.from_pretrained("tester/mini", trust_remote_code=True)
        output = model(**tokenizer(["TEXT"], return_tensors="pt"))
    """
    found = outside(server, tmp_path / "use", textwrap.dedent(script).replace("TEXT", TEXT))
    np.testing.assert_allclose(found, logits(tuned), atol=1e-5)
    push(tuned, record, "tester/mini", lora="adapter")
    assert "model.safetensors" not in files and "adapter_config.json" in files


def test_what_has_no_adapters_or_a_folder_as_encoder_is_refused(trained, tmp_path):
    with pytest.raises(UserError, match="has none, for it was not trained with --lora; leave it out"):
        check_adapter(trained, read_record(trained))
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (run / ADAPTER_CONFIG_FILE).parent.mkdir(exist_ok=True)
        (run / ADAPTER_CONFIG_FILE).with_name(name).write_text("{}")
    with pytest.raises(UserError, match="a folder that nobody else has; push merged weights"):
        check_adapter(run, read_record(run))


def test_the_card_of_an_adapter_of_a_bundled_encoder_loads_it_from_emo_hf(trained):
    record = read_record(trained)
    lora = {"r": 4, "alpha": 8, "dropout": 0.0, "target": "all-linear", "weights": "fp32"}
    record["model"] |= {"encoder": "tiny-bert", "lora": lora}
    found = {"encoder": "tiny-bert", "bundled": True, "revision": None, "ours": False, "dtype": "float32"}
    card = model_card(record, "me/mini", adapter=found)
    assert 'AutoModel.from_pretrained(encoder_path("tiny-bert"), dtype=torch.float32)' in card
    compile(re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0], "card", "exec")
