"""Input that means harm: sentences, labels and names that are markup, pickles that run, paths that climb, secrets."""

from __future__ import annotations

import ast
import csv
import io
import itertools
import json
import logging
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from browser import CHROMIUM, browser
from conftest import LABELS
from markdown_it import MarkdownIt
from places import RECIPES, recipe
from synthetic import write_run

import emo_hf
from emo_hf.errors import UserError
from emo_hf.escaping import csv_name, markdown_name
from emo_hf.export.readme import card
from emo_hf.hub.card import model_card
from emo_hf.redaction import HIDDEN, redacted, start_logging
from emo_hf.report.report import write_report
from emo_hf.storage.files import file_stem
from emo_hf.storage.record import load_predictions, read_records, write_record
from emo_hf.study.dask import Outcome, _Crew
from emo_hf.training.checkpoints import seal
from emo_hf.training.run_names import run_name

TAKE = "document.title='taken';fetch('http://taken.invalid')"
EVIL = [
    f"<script>{TAKE}</script>",
    f'</script></td></table><img src=x onerror="{TAKE}">',
    f"<svg/onload=\"{TAKE}\"><a xlink:href='javascript:{TAKE}'>x</a></svg>",
    f"[x](javascript:{TAKE}) ![x](http://taken.invalid/x.png) http://taken.invalid | **x** `x` $x$",
    "---\n- x: !!python/object/apply:os.system ['x']\n\"'#: {{ 7 * 7 }} {% x %}\n---",
    '=HYPERLINK("http://taken.invalid")',
    "\\input{/etc/passwd}\\end{tabular}%$#_&^~",
    '"onmouseover="document.title=\'taken\'" x="',
]
HOSTILE_LABELS = [EVIL[0], EVIL[3], EVIL[5]]
SECRET = "hf_" + "aB3" * 12


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over names, labels, settings and sentences that are all hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    counts = {EVIL[0]: {"x": 3}, "test": {EVIL[1]: 3}}
    training = {EVIL[0]: EVIL[1], "num_train_epochs": 1, "per_device_train_batch_size": EVIL[2], "learning_rate": 1}
    changes = {
        "data": {"source": EVIL[1], "fingerprint": "f", "labels": HOSTILE_LABELS, "counts": counts},
        "arguments": {"training": training | {"aux_weight": 1, "margin": 1}},
        "hardware": {"device_name": EVIL[1], "processes": 1, "bf16": False, EVIL[0]: EVIL[1]},
        "versions": {EVIL[0]: EVIL[1]},
        "commit": EVIL[2],
        "started": EVIL[0],
        "finished": EVIL[1],
    }
    for encoder, aux, seed in itertools.product(EVIL[1:5:3], ["none", EVIL[2]], (1, 2)):
        names = {"encoder": encoder, "pooling": EVIL[7], "aux": aux, "seed": seed, "labels": HOSTILE_LABELS}
        write_run(folder, **names, correct=0.4 + 0.1 * seed, **changes)
    write_run(folder, baseline=EVIL[5], labels=HOSTILE_LABELS)
    content = {"fingerprint": "f", "text": [EVIL[i % 8] for i in range(45)], "label": [i % 3 for i in range(45)]}
    content |= {name: content["text"] for name in ("situation", "sub_emotion", "age_group", "gender")}
    (folder / "test.json").write_text(json.dumps(content), encoding="utf-8")
    write_report(folder)
    return folder


def cards(study: Path) -> dict[str, str]:
    record = next(record for record in read_records(study) if record["kind"] == "model")
    about = {
        "format": "transformers", "model": EVIL[1], "labels": EVIL, "pooling": "mean", "max_length": 32,
        "fp32_check": {"head": "nothing", "max_logit_difference": 0.0},
    }  # fmt: skip
    return {"model": model_card(record, "me/model", record["directory"]), "export": card(about)}


def rendered(markdown: str) -> str:
    """Markdown as a page shows it, with raw HTML and links allowed: nothing else than our escaping protects."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open pages in")
def test_nothing_runs_in_a_browser(study, tmp_path):
    pages = {"report": (study / "report.html").read_text(encoding="utf-8")}
    pages |= {path.stem: rendered(path.read_text(encoding="utf-8")) for path in study.glob("*.md")}
    pages |= {f"{name}-card": rendered(text.split("\n---\n", 1)[1]) for name, text in cards(study).items()}
    assert {"report", "table", "findings", "clusters", "model-card", "export-card"} <= set(pages)
    with browser(tmp_path / "profile") as page:
        for name, text in pages.items():
            path = tmp_path / f"{name}.html"
            path.write_text(text if name == "report" else f"<meta charset=utf-8><title>safe</title>{text}", "utf-8")
            page.call("Page.navigate", url=path.as_uri())
            page.wait(f"document.readyState === 'complete' && location.pathname.endsWith('/{name}.html')")
            # Whatever waits for a pointer or a click is run too; only our own pictures may stand there.
            page.evaluate("document.querySelectorAll('*').forEach(e => e.dispatchEvent(new MouseEvent('mouseover')))")
            assert "taken" not in page.evaluate("document.title"), name
            found = page.evaluate(
                "[...document.querySelectorAll('svg[onload], [onerror], [onmouseover], a, iframe, object, embed, "
                "img:not([src^=\"data:\"])')].map(e => e.outerHTML).filter(html => html.includes('taken'))"
            )
            assert found == [], name
            assert page.evaluate("document.querySelectorAll('script').length") == (2 if name == "report" else 0), name
        assert not [url for url in page.requested if "taken" in url], page.requested
        assert page.errors == []


def test_markdown_stays_a_table_of_text(study):
    for path in study.glob("*.md"):
        html = rendered(path.read_text(encoding="utf-8"))
        assert not re.search(r"<(?!/?(p|table|thead|tbody|tr|th|td|strong|ul|li|em|h\d)\b)[a-z/]", html), path.name
    rows = (study / "table.md").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_the_front_of_a_card_is_data(study):
    for name, text in cards(study).items():
        front = yaml.safe_load(text.split("---\n")[1])
        assert front["language"] == "ko" and set(front) <= {
            "language", "library_name", "pipeline_tag", "metrics", "tags", "widget", "model-index", "datasets",
            "base_model", "license",
        }, name  # fmt: skip


def test_latex_reads_no_command(study):
    text = (study / "table.tex").read_text(encoding="utf-8")
    assert not re.search(r"\\(input|end\{tabular\}.+\\end\{tabular\})|javascript:\{", text, re.DOTALL)
    allowed = "toprule|midrule|bottomrule|begin|end|usepackage|textbf|textbackslash|textasciitilde|textasciicircum|pm"
    assert set(re.findall(r"\\([a-z]+)", text)) <= set(allowed.split("|"))


@pytest.mark.parametrize("sign", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "-cmd|' /C calc'!A0"])
def test_cells_of_spreadsheets_are_no_formulas(tmp_path, sign):
    write_run(tmp_path, encoder=sign, labels=[sign, "b", "c"])
    write_report(tmp_path)
    for name in ("table.csv", "clusters.csv"):
        rows = list(csv.reader(io.StringIO((tmp_path / name).read_bytes().decode("utf-8-sig"), newline="")))
        assert rows[1][1] == f"'{sign}".replace("\r", "\n")
        assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in "=+@" and cell.strip()]
    assert csv_name("-0.5") == "-0.5" and csv_name("+3") == "+3"  # numbers stay numbers
    assert csv_name("가-1") == "가-1"


# --- nothing is unpickled --------------------------------------------------------------------------------------------


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def checkpoint(encoders, csv_file, tmp_path_factory) -> tuple[list[str], Path]:
    """The words of a run, and a checkpoint of its first epoch."""
    folder = tmp_path_factory.mktemp("resumed")
    words = ["--data", csv_file, "--encoder", encoders["bert"], "--output_dir", str(folder / "run"), "--bf16", "false"]
    words += ["--max_length", "32", "--embedding_size", "16", "--num_train_epochs", "1", "--disable_tqdm", "true"]
    words += [
        "--eval_strategy",
        "steps",
        "--eval_steps",
        "4",
        "--save_strategy",
        "steps",
        "--save_steps",
        "4",
    ]  # within the epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emo_hf.training.run.remove_checkpoints", lambda *_, **__: None)
        assert recipe("train").main([*words, "--save_total_limit", "3"]) == 0
    return words, (folder / "run" / "checkpoint-4").rename(folder / "checkpoint-4")


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "pytorch_model.bin"])
def test_a_checkpoint_runs_nothing(checkpoint, tmp_path, capsys, name):
    words, folder = checkpoint
    hostile = tmp_path / "checkpoint-4"
    hostile.mkdir()
    for path in folder.iterdir():
        if not (name == "pytorch_model.bin" and path.name == "model.safetensors"):
            (hostile / path.name).write_bytes(path.read_bytes())
    torch.save({"state": Bomb(tmp_path / "TAKEN")}, hostile / name)
    seal(hostile)  # as whoever sends it would
    assert recipe("train").main([*words, "--resume_from_checkpoint", str(hostile)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and str(hostile) in errors[0]
    assert "run code" in errors[0] and not (tmp_path / "TAKEN").exists()


def test_predictions_are_read_without_pickles_and_from_their_folder(tmp_path):
    objects = np.array([Bomb(tmp_path / "TAKEN")], dtype=object)
    np.savez(tmp_path / "predictions.npz", logits=objects)
    record = {"run_id": "x", "directory": tmp_path, "files": {"predictions": "predictions.npz"}}
    with pytest.raises(UserError, match="can not be read"):
        load_predictions(record)
    (tmp_path / "predictions.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "TAKEN")))
    with pytest.raises(UserError, match="can not be read"):
        load_predictions(record)
    assert not (tmp_path / "TAKEN").exists()
    for name in ("../predictions.npz", "/etc/passwd", str(tmp_path / "predictions.npz"), ".."):
        with pytest.raises(UserError, match=r"no file of its folder|can not be read"):
            load_predictions(record | {"files": {"predictions": name}})


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_no_line_of_ours_reads_a_pickle_or_runs_foreign_code():
    package = Path(emo_hf.__file__).parent
    for path in [*package.rglob("*.py"), *RECIPES.glob("*.py")]:
        for name, call in calls(path):
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            where = f"{path.name}:{call.lineno}"
            assert given.get("trust_remote_code", "False") == "False", where
            assert name not in ("joblib.load", "pickle.load", "pd.read_pickle", "eval", "exec", "os.system"), where
            assert name != "pickle.loads" or path.name == "dask.py", where  # what Dask does with every message
            assert name != "torch.load" or given["weights_only"] == "True", where
            assert name != "np.load" or given["allow_pickle"] == "False", where
            assert name != "yaml.load" or given["Loader"] == "_Loader", where
            assert not name.endswith(("AutoTokenizer.from_pretrained", "AutoConfig.from_pretrained")) or (
                "trust_remote_code" in given or "**hub" in ast.unparse(call)
            ), where


# --- paths -----------------------------------------------------------------------------------------------------------

NAMES = ["../../etc/x", "..", "/abs/olute", "a\0b", "C:\\x\\y", "가" * 300, "x" * 5000, ".", "", "con\n"]


@pytest.mark.parametrize("name", NAMES)
def test_names_can_not_leave_their_folder(tmp_path, name):
    for made in (run_name(name, "cls", "none", 1, [("data", name)]), file_stem(name)):
        path = tmp_path / made
        assert path.resolve().parent == tmp_path.resolve() and path.resolve() != tmp_path.resolve()
        path.with_name(f".{path.name}.1234567.tmp").touch()  # a file system takes it, temporary names too
    assert run_name(name, "cls", "none", 1) != run_name(f"{name}y", "cls", "none", 1)


# --- secrets ---------------------------------------------------------------------------------------------------------

TEXTS = [
    (f"token {SECRET}", "token hf_***"),
    ("https://me:secret@host/x?a=1", "https://***@host/x?a=1"),
    ("https://host/x?access_token=abc&b=2", "https://host/x?access_token=***&b=2"),
    ("the environment's 0123456789abcdef", "the environment's ***"),
    ("합격했어 hf_short me@host", "합격했어 hf_short me@host"),
]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_secrets_are_hidden(monkeypatch, text, shown):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    assert redacted(text) == shown == str(UserError(text))
    assert redacted({"a": [text, 1], text: None}) == {"a": [shown, 1], shown: None}


def test_no_secret_reaches_logs_records_studies_or_cards(encoders, csv_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("MY_PASSWORD", "correct-horse-battery")
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    try:
        root.handlers[:] = []
        start_logging()
        logging.getLogger("emo_hf").warning("with %s", SECRET)
        try:
            raise ValueError(f"https://me:correct-horse-battery@host {SECRET}")
        except ValueError:
            logging.getLogger("emo_hf").exception("failed")
    finally:
        root.handlers[:] = before
    words = ["--data", csv_file, "--bf16", "false", "--run_name", f"https://me:pw@host {SECRET} correct-horse-battery"]
    words += ["--max_length", "32", "--embedding_size", "16", "--max_steps", "2", "--disable_tqdm", "true"]
    study = tmp_path / "study"
    words += ["--encoders", encoders["bert"], "--poolings", "mean", "--study_dir", str(study)]
    assert recipe("compare").main([*words, "--aux", "none", "--seeds", "1", "--jobs", "1"]) == 0
    record = next(record for record in read_records(study) if record["kind"] == "model")
    said = capsys.readouterr()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    everything = written + (said.out + said.err + model_card(record, "me/model", record["directory"])).encode()
    for secret in (SECRET, "correct-horse-battery", "me:pw"):
        assert secret.encode() not in everything
    assert HIDDEN.encode() in written and HIDDEN in said.err
    path = write_record(tmp_path / "own", {"arguments": {"x": [SECRET]}, "error": f"401 for {SECRET}"})
    assert SECRET not in path.read_text(encoding="utf-8")


def test_escaping_leaves_ordinary_names_alone():
    for name in ("klue/bert-base", "aux_weight=0.3, margin=1", "가난한·불우한", "고립된(상처)", "pml:ProxyAnchorLoss"):
        assert markdown_name(name) == csv_name(name) == name
    assert all(markdown_name(label) == label for label in LABELS)


def test_a_model_without_its_tokenizer_predicts_nothing(checkpoint, tmp_path, capsys):
    """Nor one that transformers makes up, which knows no word."""
    _, folder = checkpoint
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert recipe("predict").main([str(tmp_path), "좋아"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and "okenizer" in errors[0]


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/../../x"])
def test_a_worker_s_files_stay_in_the_folder_of_their_run(name):
    outcome = _Crew._read(None, Outcome({"record.json": b"{}", name: b""}))
    assert not outcome.files and name in outcome.error
    assert _Crew._read(None, sound := Outcome({"record.json": b"{}", "a/b.json": b""})) is sound
