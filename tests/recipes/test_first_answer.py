"""What a first answer may import, recipe by recipe; and the benchmark that measures how long one takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import places
import pytest
import torch
from transformers import AutoTokenizer

from emo_hf.errors import UserError
from emo_hf.export.export import export
from emo_hf.models.modeling import EmotionModel

LABELS = ["불안", "슬픔", "기쁨"]
# What takes more than a tenth of a second to import, or holds more than 20 MB.
OF_DATA = {"datasets", "pandas", "pyarrow", "openpyxl"}
OF_REPORTS = {"sklearn", "matplotlib", "gradio", "optuna", "evaluate", "rich", "distributed", "umap"}
OF_MODELS = {"torch", "transformers", "scipy", "accelerate", "huggingface_hub", "peft", "onnx"}
HEAVY = OF_DATA | OF_REPORTS | OF_MODELS
# Runs each line of standard input as the words of a recipe, in one process; says what that has imported.
SAY = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
CALLER = f"""
import json, runpy, sys
sys.path[0] = sys.argv[1].rpartition("/")[0]
main = runpy.run_path(sys.argv[1])["main"]
for words in json.loads(sys.argv[2]):
    try:
        assert main(words) == 0, words
    except SystemExit as ended:
        assert ended.code == 0, words
{SAY}
"""


def imported(recipe: str, *calls: list[str], typed: str = "") -> set[str]:
    """The libraries that a new process has imported after calls of a recipe."""
    return _modules(CALLER, str(places.RECIPES / f"{recipe}.py"), json.dumps(calls), typed=typed)


def _modules(code: str, *words: str, typed: str = "") -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        input=typed.encode(),
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(places.ROOT)},
    )
    assert done.returncode == 0, done.stderr.decode()
    return set(json.loads(done.stderr.decode().splitlines()[-1]))


@pytest.fixture(scope="module")
def models(encoders, static_encoder, tmp_path_factory) -> dict[str, Path]:
    """A run, its ONNX export, and a static export."""
    root = tmp_path_factory.mktemp("models")
    for name, encoder in (("run", encoders["roberta"]), ("static run", static_encoder)):
        EmotionModel.from_encoder(encoder, labels=LABELS, pooling="mean").save_pretrained(root / name)
        AutoTokenizer.from_pretrained(encoder).save_pretrained(root / name)
    found = {"run": root / "run", "onnx": export(root / "run", "onnx", root / "onnx")}
    return found | {"static": export(root / "static run", "static", root / "static")}


@pytest.mark.parametrize("kind", ["run", "onnx", "static"])
def test_a_first_answer_imports_neither_torch_nor_pandas(models, tmp_path, kind):
    files = {
        "a.csv": "id,text\n1,오늘 웃었어\n2,\n",
        "a.tsv": "text\tid\n오늘 웃었어\t1\n어제 울었어\t2\n",
        "a.txt": "오늘 웃었어\n어제 울었어\n",
        "a.jsonl": '{"text": "오늘 웃었어", "id": 1}\n{"text": "어제"}\n',
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    model = str(models[kind])
    calls = [[model, "오늘 웃었어", "어제 울었어"], [model, "-", "--format", "csv"]]
    calls += [[model, str(tmp_path / name), "--format", "jsonl"] for name in files]
    calls += [[model, str(tmp_path / "a.csv"), "--output", str(tmp_path / f"out.{end}")] for end in ("csv", "jsonl")]
    found = imported("predict", *calls, typed="저녁에 울었어\n")
    assert found & HEAVY == set()
    assert {"tokenizers", "numpy"} <= found and ("onnxruntime" in found) == (kind == "onnx")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig").count("\n") == 3


def test_what_is_measured_are_imports(models, tmp_path):
    """A run that numpy does not know needs torch; so the process tells what it has imported."""
    torch.manual_seed(0)
    (tmp_path / "run").mkdir()
    for path in models["run"].iterdir():
        if path.is_file():
            (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    config["encoder"]["hidden_act"] = "relu"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert {"torch", "transformers"} <= imported("predict", [str(tmp_path / "run"), "오늘"])


@pytest.mark.parametrize("recipe", ["predict", "export", "push", "demo"])
def test_help_imports_next_to_nothing(recipe):
    assert not imported(recipe, ["--help"]) & (HEAVY | {"numpy", "tokenizers", "onnxruntime", "yaml"})


@pytest.fixture(scope="module")
def of_trainer() -> set[str]:
    """What the import of Trainer's arguments brings along."""
    return _modules(f"import json, sys; from transformers import TrainingArguments; {SAY}")


@pytest.mark.parametrize("recipe", ["train", "compare", "search"])
def test_help_with_the_arguments_of_trainer_imports_little_more(recipe, of_trainer):
    """Their defaults and types stand in transformers; but nothing that reads data, draws or searches is needed."""
    found = imported(recipe, ["--help"])
    assert "transformers" in found and (found & HEAVY) - of_trainer == set()


@pytest.fixture(scope="module")
def bench():
    return places.recipe("bench/first_answer")


def python(bench, name: str, code: str, package: Path = places.ROOT):
    return bench.Arm(name, (sys.executable, "-c", code), package)


def test_time_and_memory_are_those_of_one_process(bench):
    large, small = (
        python(bench, "large", "held = bytearray(300_000_000); print(1)"),
        python(bench, "small", "print(2)"),
    )
    slow = python(bench, "slow", "import time; time.sleep(1)")
    found = bench.measure([large, small, slow], rounds=1)
    assert found[large][1] > 300 > 100 > found[small][1] > 5
    assert found[slow][0] > 1 and found[slow][0] > found[small][0]
    with pytest.raises(UserError, match=r"broken in .* ended with: ValueError: no"):
        python(bench, "broken", "raise ValueError('no')").measure()


def test_other_probabilities_are_refused(bench, tmp_path):
    def said(name: str, score: float, package: Path = places.ROOT):
        return python(bench, name, "", package), json.dumps({"scores": {"기쁨": score}})

    bench.check_equal(dict([said(bench.RUN, 0.5), said(bench.PIPELINE, 0.5001), said("predict.py, onnx-int8", 0.6)]))
    for other in (said(bench.PIPELINE, 0.51), said(bench.RUN, 0.51, tmp_path)):
        with pytest.raises(UserError, match="gives"):
            bench.check_equal(dict([said(bench.RUN, 0.5), other]))


def test_the_table_has_both_checkouts(bench, tmp_path):
    names = [arm.name for arm in bench.arms(tmp_path, {"onnx": tmp_path}, None)]
    assert names[:2] == [bench.RUN, "predict.py, onnx"] and len(names) == 2 + 7 + 2
    here = {python(bench, name, ""): (1.0, 100.0) for name in names}
    there = {python(bench, name, "", tmp_path): (6.0, 300.0) for name in names[:-2]}
    shown = bench.table(here | there, tmp_path)
    assert shown.count("| 1.00 | 100 | 6.00 | 300 | 1/6.0 | 1/3.0 |") == 9 and "search.py +0 %" in shown
    assert "6.00" not in bench.table(here, None)


def test_mistakes_of_the_benchmark_are_one_line(bench, tmp_path, capsys):
    for words, said in {
        ("--base", str(tmp_path)): "holds no recipes/predict.py",
        ("--exports", str(tmp_path)): "name it with --run",
        ("--run", str(tmp_path), "--exports", str(tmp_path)): "no export",
        ("--rounds", "0"): "no whole number",
    }.items():
        assert bench.main(list(words)) == 2
        captured = capsys.readouterr().err
        assert said in captured and captured.count("\n") == 1


@pytest.mark.slow
def test_the_benchmark_measures_everything(bench, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(places.RECIPES / "bench")
    assert bench.main(["--rounds", "1", "--output", str(tmp_path), "--base", str(places.ROOT)]) == 0
    written = (tmp_path / "first_answer.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out
    rows = [line for line in written.splitlines() if line.startswith("| ") and "seconds" not in line]
    assert len(rows) == 4 + 7 + 2
