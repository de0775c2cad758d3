"""A student of a teacher: its losses against plain loops, what it starts from, texts that it must not see, its run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CUES, LABELS, PLACES, TIMES, sentences
from demo_app import train
from places import recipe
from transformers import AutoTokenizer

from emo_hf.distillation import teacher as outputs_of_teacher
from emo_hf.distillation.distillation import DistillArguments, distill, teachers_data, texts_to_learn
from emo_hf.distillation.objective import Pupil, softened_divergence
from emo_hf.distillation.students import build_student
from emo_hf.distillation.teacher import teacher_outputs
from emo_hf.errors import UserError
from emo_hf.inference.backends import load_model
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.parents import parent_of
from emo_hf.storage.record import read_record
from emo_hf.training.loaded import load_data

TEXTS = [f"{time} {place} {cue}" for time in TIMES for place in PLACES for label in LABELS for cue in CUES[label]]


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def taught(encoders, csv_file, tmp_path_factory) -> Path:
    """A teacher that knows the task."""
    folder = train(
        encoders, csv_file, tmp_path_factory.mktemp("taught") / "mini", learning_rate=5e-3, num_train_epochs=6
    )
    assert read_record(folder)["test"]["macro_f1"] > 0.9
    return folder


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("several", [False, True])
def test_the_divergence_against_plain_loops(temperature, several):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 4, dtype=torch.float64) * 3
    rows = []
    for own, known in zip((student / temperature).tolist(), (teacher / temperature).tolist(), strict=True):
        total = 0.0
        if several:
            for a, b in zip(own, known, strict=True):
                q, p = 1 / (1 + math.exp(-a)), 1 / (1 + math.exp(-b))
                total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        else:
            q = [math.exp(a) / sum(map(math.exp, own)) for a in own]
            p = [math.exp(b) / sum(map(math.exp, known)) for b in known]
            total = sum(b * math.log(b / a) for a, b in zip(q, p, strict=True))
        rows.append(total)
    found = softened_divergence(student, teacher, temperature, several=several)
    assert found.item() == pytest.approx(temperature**2 * sum(rows) / len(rows), abs=1e-12)
    assert softened_divergence(teacher, teacher, temperature, several=several).item() == pytest.approx(0, abs=1e-12)


def test_the_loss_of_a_pupil_is_divergence_and_cosine(static_encoder, trained):
    torch.manual_seed(0)
    teacher = load_model(trained)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    student, _ = build_student("static", teacher, tokenizer)
    inputs = tokenizer(TEXTS[:4], padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        said = teacher(**inputs)
        own = student.eval()(**inputs)
        found = Pupil(student, said.embeddings.shape[1], temperature=2.0, weight=0.7)(
            **inputs, teacher_logits=said.logits, teacher_embeddings=said.embeddings
        )["loss"]
    cosines = []
    for a, b in zip(own.embeddings.double().numpy(), said.embeddings.double().numpy(), strict=True):
        cosines.append(float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)))
    expected = softened_divergence(own.logits, said.logits, 2.0, several=False).item()
    assert found.item() == pytest.approx(expected + 0.7 * (1 - np.mean(cosines)), abs=1e-5)
    wider = Pupil(student, 99, temperature=1.0, weight=1.0)
    assert wider.projection.weight.shape == (99, student.config.embedding_size)


def test_outputs_are_kept_and_a_stopped_process_goes_on(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs_of_teacher, "CHUNK", 32)
    texts = TEXTS[:100]
    whole = teacher_outputs([trained], texts, tmp_path / "whole", max_length=32)
    predictor = Predictor(trained, max_length=32, device="cpu")
    logits, embeddings = whole.rows([0, 31, 32, 99, 5])
    for place, row, vector in zip([0, 31, 32, 99, 5], logits, embeddings, strict=True):
        expected = predictor.logits([texts[place]])
        np.testing.assert_allclose(row, expected[0][0].numpy(), atol=1e-5)
        np.testing.assert_allclose(vector, expected[1][0].numpy(), rtol=2e-3, atol=2e-3)  # half precision

    class Killed(Exception):
        pass

    def kill(done: int, count: int) -> None:
        if done > 50:
            raise Killed

    with pytest.raises(Killed):
        teacher_outputs([trained], texts, tmp_path / "parts", max_length=32, progress=kill)
    [folder] = (tmp_path / "parts").iterdir()
    first = sorted(folder.iterdir())
    assert len(first) == 4  # two of four chunks, each with both files
    first[1].unlink()  # killed between the two files of a chunk
    kept = first[0].stat().st_mtime_ns
    asked: list[int] = []
    resumed = teacher_outputs(
        [trained], texts, tmp_path / "parts", max_length=32, progress=lambda done, count: asked.append(done)
    )
    assert asked == [32, 64, 96, 100] and first[0].stat().st_mtime_ns == kept
    files = {path.name: path.read_bytes() for path in whole.folder.iterdir()}
    assert {path.name: path.read_bytes() for path in resumed.folder.iterdir()} == files and len(files) == 8
    other = teacher_outputs([trained], texts[:-1], tmp_path / "parts", max_length=32)
    assert other.folder != resumed.folder


def test_the_mean_of_several_teachers(trained, tmp_path):
    both = teacher_outputs([trained, trained], TEXTS[:9], tmp_path, max_length=32)
    one = teacher_outputs([trained], TEXTS[:9], tmp_path, max_length=32)
    np.testing.assert_allclose(both.rows(range(9))[0], one.rows(range(9))[0], atol=1e-6)
    assert both.embedding_size == 2 * one.embedding_size


def test_what_students_start_from(trained):
    teacher, tokenizer = load_model(trained), AutoTokenizer.from_pretrained(trained)
    one, _ = build_student("layers=1", teacher, tokenizer)
    assert one.config.encoder.num_hidden_layers == 1 and teacher.config.encoder.num_hidden_layers == 2
    own, theirs = one.state_dict(), teacher.state_dict()
    for name, value in own.items():
        assert torch.equal(value, theirs[name.replace("layer.0.", "layer.1.")]), name
    static, _ = build_student("static", teacher, tokenizer)
    vectors = teacher.get_input_embeddings().weight
    torch.testing.assert_close(static.encoder.pieces.weight, vectors / vectors.norm(dim=1).mean())
    assert torch.equal(static.classifier.weight, teacher.classifier.weight)
    teacher.config.text_prefix = "기분: "  # the students read texts by its tokenizer
    for words in ("layers=1", "static"):
        assert build_student(words, teacher, tokenizer)[0].config.text_prefix == "기분: "
    for words, said in (
        ("layers=2", "the teacher has 2 layers; give fewer"),
        ("layers=x", "write layers=2, static, or"),
        ("layers=0", "write layers=2, static, or"),
    ):
        with pytest.raises(UserError, match=said):
            build_student(words, teacher, tokenizer)


def test_a_static_student_starts_with_the_ngrams_of_its_teacher(encoders):
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    teacher = EmotionModel.from_encoder(
        encoders["bert"], labels=LABELS, pooling="mean", embedding_size=16, ngrams=3, tokenizer=tokenizer
    )
    torch.nn.init.normal_(teacher.ngrams.table.weight)
    static, _ = build_student("static", teacher, tokenizer)
    assert static.config.ngrams == 3
    inputs = tokenizer(TEXTS[:4], padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        spelled = [model.eval()(**inputs).embeddings[:, -static.config.ngram_size :] for model in (static, teacher)]
    assert torch.equal(*spelled) and spelled[0].std() > 0.1
    torch.nn.init.zeros_(static.ngrams.table.weight)  # it is a copy: the teacher's own stays
    assert teacher.ngrams.table.weight.any()


def test_texts_of_rows_that_score_are_left_out(trained, csv_file, tmp_path):
    data = load_data(teachers_data([str(trained)]))
    test, validation = data.splits["test"]["text"][:], data.splits["validation"]["text"][:]
    path = tmp_path / "mixed.csv"
    rows = [*test[:3], *validation[:2], *(f" {text} " for text in test[3:5]), "처음 보는 글", "처음 보는 글", "nan"]
    path.write_text("text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    texts, left_out = texts_to_learn([str(path)], None, data)
    assert left_out == 7 and texts == ["처음 보는 글", *data.splits["train"]["text"][:]]
    path.write_text("text\n" + "\n".join(test) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="all texts there are those of validation or test rows"):
        texts_to_learn([str(path)], None, data)
    path.write_text("text\n \n", encoding="utf-8")
    with pytest.raises(UserError):
        texts_to_learn([str(path)], None, data)


@pytest.mark.parametrize(("student", "bf16"), [("static", False), ("layers=1", False), ("layers=1", True)])
def test_a_student_says_what_its_teacher_says(taught, texts_file, student, bf16, tmp_path):
    arguments = DistillArguments(
        texts=[texts_file], student=student, distill_epochs=8, cache_dir=str(tmp_path / "cache"),
        distill_learning_rate=1e-2 if student == "static" else 3e-3,
    )  # fmt: skip
    record = distill([str(taught)], arguments, tmp_path / "student", bf16=bf16)
    assert load_model(tmp_path / "student").dtype == torch.float32  # products alone are in bf16
    unseen = [text for label in LABELS for text in sentences(label)[200:230]]
    teacher, pupil = (Predictor(path, device="cpu").probabilities(unseen) for path in (taught, tmp_path / "student"))
    assert (teacher.argmax(-1) == pupil.argmax(-1)).float().mean() > 0.9
    parent = parent_of(str(tmp_path / "student"))
    assert parent.whole and len(parent.texts) >= record["texts"]
    assert record["distilled_from"][0]["run_id"] == parent_of(str(taught)).run_id


def test_the_recipe_as_typed(taught, texts_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--num_train_epochs", "2", "--distill_epochs", "9", "--disable_tqdm", "true", "--bf16", "false"]
    words += ["--distill_learning_rate", "1e-2", "--learning_rate", "1e-3"]
    assert recipe("distill").main([str(taught), "--texts", texts_file, *words]) == 0
    said = capsys.readouterr().out
    folder = Path(f"runs/distill/static_of_{taught.name}")
    assert f"teacher {taught}: macro-F1" in said and f"student {folder}: macro-F1" in said
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert record["status"] == "completed" and record["model"]["parent"]["kept"][-1] == "classifier"
    assert record["model"]["distilled_from"][0]["from"] == str(taught)
    assert record["data"]["fingerprint"] == json.loads((taught / "record.json").read_text())["data"]["fingerprint"]
    assert record["test"]["macro_f1"] > 0.8
    assert recipe("export").main([str(folder), "--to", "static"]) == 0
    exported = f"runs/export/{folder.name}_static"
    assert recipe("predict").main([exported, "오늘 학교에서 웃었어"]) == 0


def test_sets_of_labels_and_mistakes(trained, trained_sets, texts_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = DistillArguments(texts=[texts_file], distill_epochs=1, cache_dir=str(tmp_path / "cache"))
    distill([str(trained_sets)], arguments, tmp_path / "student")
    assert load_model(tmp_path / "student").config.multi_label
    run, main = str(trained), recipe("distill").main
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    for words, said in {
        ("--texts", texts_file): "no teacher is given",
        (run,): "--texts is missing",
        (run, "--texts", "nowhere.txt"): "no such file",
        (run, "--texts", "empty.txt"): "empty.txt",
        ("nowhere", "--texts", texts_file): "nowhere holds no record.json of a completed run",
        (run, str(trained_sets), "--texts", texts_file): "has other labels than",
        (run, "--texts", texts_file, "--student", "layers=9"): "the teacher has 2 layers; give fewer, or static",
        (run, "--texts", texts_file, "--student", "no-encoder"): "no-encoder",
        (run, "--texts", texts_file, "--temperature", "0"): "--temperature is 0.0; allowed: above 0 to 100",
    }.items():
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert main(list(words)) == 2, words
        captured = capsys.readouterr().err.splitlines()
        assert said in captured[-1] and captured[-1].startswith("error: ")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([run, "--texts", texts_file]) == 2
    assert "runs in one process" in capsys.readouterr().err
