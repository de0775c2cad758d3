"""To the Hub and out again: access, pushes that fail and go on, and who can use what was pushed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hub_server
import huggingface_hub
import numpy as np
import pytest
from places import RECIPES
from synthetic import LABELS, write_study

from emo_hf import Predictor
from emo_hf.hub.upload import chosen_runs, reason
from emo_hf.storage.record import read_record

TEXTS = ["오늘 학교에서 정말 웃었어", "어제 집에서 울었어", ""]


@pytest.fixture
def server() -> Iterator[hub_server.Hub]:
    with hub_server.running() as found:
        yield found


@dataclass
class Done:
    """How `recipes/push.py` ended, in whichever process."""

    returncode: int
    stdout: str
    stderr: str


def push(server: hub_server.Hub, home: Path, *words: str) -> Done:
    """`recipes/push.py` in a process of its own, as users start it."""
    done = subprocess.run(
        [sys.executable, str(RECIPES / "push.py"), *words],
        env={**_clean(), **hub_server.environment(server, str(home))},
        capture_output=True,
        text=True,
        cwd=home,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def quick_push(server, monkeypatch, capsys):
    """`recipes/push.py` in this process, with the same client, which waits for nothing between its tries."""
    monkeypatch.syspath_prepend(RECIPES)
    from push import main

    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: None)
    monkeypatch.setattr("emo_hf.hub.upload.draw_pictures", lambda record, run_dir: None)  # in the other tests
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def pushed(*words: str, token: str | None = hub_server.TOKEN) -> Done:
        client = functools.partial(huggingface_hub.HfApi, endpoint=server.endpoint, token=token)
        monkeypatch.setattr("emo_hf.hub.upload.HfApi", client)
        code = main(list(words))
        return Done(code, *capsys.readouterr())

    return pushed


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | {"OMP_NUM_THREADS": "1"}


def test_pushed_once_used_anywhere_and_pushed_again_for_nothing(server, trained, quick_push, tmp_path) -> None:
    """Push; use in a process that has no emo_hf; push again: no commit, no upload; no token in any byte."""
    done = push(server, tmp_path, str(trained), "--hub_model_id", "mini")
    assert done.returncode == 0, done.stderr
    assert "pushed to " in done.stdout
    repo = server.repos["tester/mini"]
    assert {"model.safetensors", "config.json", "modeling.py", "README.md", "record.json", "confusion.png"} < set(
        repo.files
    )
    others = set(repo.files) - {"train_texts.npz"}
    assert not [name for name in others if name.endswith((".bin", ".pt", ".npz", ".lock")) or "checkpoint" in name]

    texts = [*TEXTS, "가" * 500]
    found = use_without_us(server, tmp_path, "tester/mini", texts)
    expected = np.array([list(scores.values()) for scores in Predictor(trained, max_length=64)(texts)])
    np.testing.assert_allclose(found["pipeline"], expected, atol=1e-5)
    np.testing.assert_allclose(found["logits"], expected, atol=1e-5)
    assert found["labels"] == LABELS and np.shape(found["embeddings"]) == (len(texts), 16)

    commits, uploads = repo.commits, server.uploads()
    assert quick_push(str(trained), "--hub_model_id", "mini").returncode == 0
    assert (repo.commits, server.uploads()) == (commits, uploads)

    written = [path.read_bytes() for folder in (trained, tmp_path) for path in folder.rglob("*") if path.is_file()]
    for content in [*server.bodies, *repo.files.values(), *written, done.stdout.encode(), done.stderr.encode()]:
        assert hub_server.TOKEN.encode() not in content


USE = """
    import json, sys
    sys.modules["emo_hf"] = None  # importing the package fails from here on
    import torch
    from transformers import AutoModel, AutoTokenizer, pipeline

    repo, texts = sys.argv[1], json.loads(sys.argv[2])
    classify = pipeline("text-classification", model=repo, trust_remote_code=True, top_k=None)
    labels = classify.model.config.labels
    scores = classify(texts, batch_size=2, truncation=True, max_length=64)
    tokenizer = AutoTokenizer.from_pretrained(repo, trust_remote_code=True)
    model = AutoModel.from_pretrained(repo, trust_remote_code=True).eval()
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
    with torch.inference_mode():
        output = model(**inputs)
        half = AutoModel.from_pretrained(repo, trust_remote_code=True, dtype=torch.bfloat16).eval()(**inputs)
    assert (half.logits.float() - output.logits).abs().max() < 0.1 and half.logits.dtype == torch.bfloat16
    print(json.dumps({
        "labels": labels,
        "pipeline": [[{s["label"]: s["score"] for s in row}[label] for label in labels] for row in scores],
        "logits": output.logits.softmax(-1).tolist(),
        "embeddings": output.embeddings.tolist(),
    }))
"""


def use_without_us(server: hub_server.Hub, folder: Path, repo_id: str, texts: list[str]) -> dict:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(USE), repo_id, json.dumps(texts)],
        env={**_clean(), **hub_server.environment(server, str(elsewhere / "home"), None)},
        capture_output=True,
        text=True,
        cwd=elsewhere,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_push_that_is_cut_off_goes_on(server, trained, quick_push) -> None:
    """Every try of the commit breaks; the repeated push sends no weights again."""
    server.faults["POST /api/models/.*/commit/"] = ["cut"] * 8
    done = quick_push(str(trained), "--hub_model_id", "mini")
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()[-1:]
    assert line.startswith("error: the push to tester/mini failed: ") and "the model is safe in" in line
    assert line.endswith(f"try again: python recipes/push.py {trained} --hub_model_id tester/mini")
    sent = server.uploads()
    assert sent > 0 and "tester/mini" in server.repos and not server.repos["tester/mini"].files
    server.faults.clear()
    done = quick_push(*line.partition("push.py ")[2].split())
    assert done.returncode == 0, done.stderr
    assert server.uploads() == sent and "model.safetensors" in server.repos["tester/mini"].files


@pytest.mark.parametrize(
    ("pattern", "faults", "works", "said"),
    [
        ("PUT /lfs/", ["cut", 503], True, "pushed to"),
        ("preupload", [429, 500, 502], True, "pushed to"),
        ("POST /api/models/.*/commit/", [503] * 8, False, "the Hub answers 503, it may be down for a moment"),
        ("POST /api/models/.*/commit/", [409], False, "the Hub reports a conflict (409)"),
        ("preupload", [404], False, "there is no such repository, or the token may not see it (404)"),
        ("GET /api/whoami-v2", [401], False, "the token is not valid (401); log in with"),
        ("GET /api/whoami-v2", [503] * 8, False, "for a moment; check the network; what is trained can be pushed"),
    ],
)
def test_faults_on_the_way(server, trained, quick_push, pattern, faults, works, said) -> None:
    server.faults[pattern] = list(faults)
    done = quick_push(str(trained), "--hub_model_id", "mini")
    assert (done.returncode == 0) == works, done.stderr
    assert said in (done.stdout if works else done.stderr)
    assert "Traceback" not in done.stderr
    if not works:
        assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.parametrize(
    ("name", "token", "said"),
    [
        ("forbidden/mini", hub_server.TOKEN, "the token has no right to write there (403)"),
        ("other/mini", hub_server.TOKEN, "the token has no right to write there (403)"),
        ("mini", None, "nobody is logged in; log in with `hf auth login`"),
        ("mini", "hf_wrong", "the token is not valid (401)"),
        ("a/b/c", hub_server.TOKEN, "--hub_model_id 'a/b/c'"),
    ],
)
def test_access_is_refused_in_one_line_before_anything_is_sent(server, trained, quick_push, name, token, said) -> None:
    server.repos["other/mini"] = hub_server.Repo()
    server.readonly.add("other/mini")
    done = quick_push(str(trained), "--hub_model_id", name, token=token)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not server.uploads() and not server.repos["other/mini"].files


@pytest.mark.slow
def test_training_checks_access_first_and_pushes_at_the_end(server, encoders, csv_file, tmp_path) -> None:
    words = [
        "train.py", "--encoder", encoders["bert"], "--data", csv_file, "--num_train_epochs", "1", "--bf16", "false",
        "--embedding_size", "8", "--max_length", "32", "--output_dir", str(tmp_path / "run"), "--push_to_hub", "true",
        "--hub_model_id",
    ]  # fmt: skip

    def train(name: str) -> subprocess.CompletedProcess[str]:
        environment = {**_clean(), **hub_server.environment(server, str(tmp_path / "home"))}
        return subprocess.run(
            [sys.executable, str(RECIPES / "train.py"), *words[1:], name],
            env=environment, capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip

    refused = train("forbidden/mine")
    assert refused.returncode == 2 and "no right to write" in refused.stderr and not (tmp_path / "run").exists()
    done = train("mine")
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in server.repos["tester/mine"].files
    assert hub_server.TOKEN not in (tmp_path / "run" / "record.json").read_text()


def test_the_best_and_all_models_of_a_study(server, tmp_path, quick_push) -> None:
    study = tmp_path / "study"
    write_study(study, seeds=(1, 2, 3))
    (study / "study.json").write_text("{}")
    for path in sorted(study.glob("tiny-bert*/record.json")):
        record = json.loads(path.read_text())
        if "mean_triplet" in record["run_id"]:  # not the best on the test split
            record["best"]["validation_macro_f1"] = 0.9
            path.write_text(json.dumps(record, ensure_ascii=False))
        (path.parent / "model.safetensors").write_bytes(path.parent.name.encode())
    [(best, seeds)] = chosen_runs(study, "best")
    assert (best["model"]["pooling"], best["model"]["aux"], len(seeds)) == ("mean", "triplet", 3)
    done = quick_push(str(study), "--which", "all", "--hub_prefix", "emotions")
    assert done.returncode == 0, done.stderr
    assert len(server.repos) == 6 and "tester/emotions-tiny-bert_mean_triplet" in server.repos
    [(slug, members)] = server.collections.items()
    assert slug.startswith("tester/emotions-study") and sorted(members) == sorted(server.repos)
    card = server.repos["tester/emotions-tiny-bert_mean_triplet"].files["README.md"].decode()
    assert "Over 3 seeds of the same model: accuracy" in card
    about = [line for line in card.split("\n# ")[1].splitlines() if line.startswith("- ")][:2]
    assert about[0].startswith("- models over TF-IDF + logistic regression (mean of 6): ") and "**" in about[0]
    assert about[1].startswith("- best model over TF-IDF + logistic regression (")
    assert card.index(about[0]) < card.index("Which emotion does")
    server.repos.clear()
    done = quick_push(str(study), "--hub_private_repo")  # the best alone, by default
    assert done.returncode == 0, done.stderr
    [(name, repo)] = server.repos.items()
    assert name == "tester/emo_hf-tiny-bert_mean_triplet" and repo.private
    refused = quick_push(str(study), "--which", "all", "--hub_model_id", "one")
    assert refused.returncode == 2 and "--hub_model_id names one repository" in refused.stderr
    refused = quick_push(str(tmp_path / "nothing"))
    assert refused.returncode == 2 and "holds no completed run" in refused.stderr


def test_a_reason_is_short() -> None:
    assert reason(OSError()) == "OSError"
    assert reason(OSError("disk full\nsecond line")) == "OSError: disk full"


@pytest.mark.slow
def test_data_and_encoders_from_the_hub_by_revision_and_then_offline(server, encoders, csv_file, tmp_path) -> None:
    encoder = server.repos["tester/encoder"] = hub_server.Repo()
    encoder.files = {path.name: path.read_bytes() for path in Path(encoders["bert"]).iterdir()}
    comments = server.repos["datasets/tester/comments"] = hub_server.Repo()
    comments.files = {"comments.csv": Path(csv_file).read_bytes()}

    def train(encoder: str, data: str, home: str, **given: str) -> Done:
        words = ["--encoder", encoder, "--encoder_revision", "v1", "--data", data, "--data_revision", "v1"]
        words += ["--num_train_epochs", "1", "--bf16", "false", "--embedding_size", "8", "--max_length", "32"]
        ended = subprocess.run(
            [sys.executable, str(RECIPES / "train.py"), *words, "--output_dir", str(tmp_path / "run")],
            env={**_clean(), **hub_server.environment(server, str(tmp_path / home), None), **given},
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        return Done(ended.returncode, ended.stdout, ended.stderr)

    found = train("tester/encoder", "tester/comments", "home")
    assert found.returncode == 0, found.stderr[-2000:]
    asked = " ".join(server.seen)
    assert "/tester/encoder/revision/v1" in asked and "datasets/tester/comments/resolve/v1/" in asked
    record = read_record(tmp_path / "run")
    assert (record["model"]["encoder"], record["data"]["source"]) == ("tester/encoder", "tester/comments")
    again = train("tester/encoder", "tester/comments", "home", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr[-2000:]
    for encoder_id, data, given in (
        ("tester/no-such-encoder", "tester/comments", {}),
        ("tester/encoder", "tester/no-such-data", {}),
        ("tester/encoder", "tester/comments", {"HF_HUB_OFFLINE": "1"}),
    ):
        refused = train(encoder_id, data, "other" if given else "home", **given)
        lines = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
        assert refused.returncode == 2 and len(lines) == 1 and "Traceback" not in refused.stderr, refused.stderr
        assert (encoder_id if "no-such" in encoder_id else data if "no-such" in data else "tester/") in lines[0]
