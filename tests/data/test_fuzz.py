"""Random and mutated bytes into every reader, random settings and arguments: a `UserError` or a result, and an end.

`PYTHONPATH=tests python tests/data/test_fuzz.py SECONDS FORMAT` goes on longer, with atheris, which follows what the
bytes reach.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import sys
import tempfile
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import bad_files as bad
import pandas as pd
import pytest
from aihub_files import as_json, as_xlsx, as_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emo_hf.arguments.config_file import read_config
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.data.reading import read_sources
from emo_hf.data.sources.columns import rows_of
from emo_hf.data.sources.readers import READERS, read_tables
from emo_hf.data.sources.tables import Layout
from emo_hf.errors import UserError
from emo_hf.study.grid import GridArguments

ALL = [ModelArguments, DataArguments, MetricTrainingArguments]
FORMATS = (*(suffix for suffix in READERS if suffix != ".txt"), ".zip", ".yaml")
QUICK = settings(
    max_examples=150, deadline=timedelta(seconds=20), suppress_health_check=list(HealthCheck), database=None
)


def parquet() -> bytes:
    return pd.DataFrame(bad.records(12)).to_parquet(index=False)


@functools.cache
def seeds(suffix: str) -> list[bytes]:
    """Valid files of a format, to be mutated."""
    rows = bad.records(6)
    if suffix == ".xlsx":
        return [bad.workbook(rows), as_xlsx(6)]
    if suffix == ".parquet":
        return [parquet()]
    if suffix == ".zip":
        return [
            as_zip({"Training.json": as_json(6)}),
            as_zip({"a/train.zip": as_zip({"train.csv": bad.as_csv(rows)})}),
        ]
    if suffix == ".yaml":
        return [b"pooling: mean\nlabels: [a, b]\nmargin: 0.5\n", b"aux_kwargs: {soft: true}\nseed: 3\n"]
    if suffix == ".json":
        return [json.dumps(rows).encode(), as_json(3), b'{"sentence": ["a"], "label": ["b"]}']
    if suffix == ".jsonl":
        return [b"\n".join(json.dumps(row).encode() for row in rows)]
    mark = "\t" if suffix == ".tsv" else ","
    return [bad.as_csv(rows, mark), bad.as_csv(rows, mark, "cp949"), b'sentence,label\n"a ""b""\nc",d\n']


def read(suffix: str, data: bytes, folder: Path) -> None:
    """All the way of a file's bytes that is the file's own; whatever is wrong with them is a `UserError` of a line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if suffix == ".yaml":
                read_config(str(bad.put(folder / "a.yaml", data)))
            elif suffix == ".zip":
                source = str(bad.put(folder / "a.zip", data))
                for _, table in read_sources([source], Layout(), None, None)[1]:
                    rows_of(table, text_column=None, label_column=None, turns="all")
            else:
                for table in read_tables(f"a{suffix}", data):
                    rows_of(table, text_column=None, label_column=None, turns="all")
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000


@st.composite
def mutated(draw: st.DrawFn, suffix: str) -> bytes:
    """A valid file with pieces cut out, doubled, overwritten or put in."""
    data = bytearray(draw(st.sampled_from(seeds(suffix))))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.binary(max_size=12), st.sampled_from(HOSTILE), st.just(bytes(data[start:stop]) * 3)))
        data[start:stop] = piece
    return bytes(data)


HOSTILE = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\r", b"\n\n", b"[" * 2000, b"{", b"}", b"1" * 4400, b"NaN", b"-1e999",
    b"\\ud800", b"\\u0000", b"PK\x05\x06", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"&a *a", b"!!python/none",
    b"<<: ", "사람문장1".encode(), "감정_대분류".encode(), b"split", b"null", b"true",
)  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_mutated_files_are_read_or_refused(suffix, tmp_path):
    @QUICK
    @given(mutated(suffix))
    def check(data: bytes) -> None:
        read(suffix, data, tmp_path)

    check()


@QUICK
@given(mutated(".yaml"))
def test_mutated_settings_are_taken_or_refused(tmp_path_factory, data):
    path = bad.put(tmp_path_factory.getbasetemp() / "settings.yaml", data)
    try:
        parse_arguments(ALL, ["--config", str(path)])
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("suffix", FORMATS)
def test_random_bytes_are_read_or_refused(suffix, tmp_path):
    @QUICK
    @given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode())))
    def check(data: bytes) -> None:
        read(suffix, data, tmp_path)

    check()


def json_values() -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    keys = st.sampled_from(["sentence", "label", "profile", "talk", "emotion", "type", "content", "HS01", "id"])
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


@QUICK
@given(st.lists(json_values(), max_size=4) | json_values())
def test_json_of_any_shape_is_read_or_refused(content):
    read(".json", json.dumps(content).encode(), Path())
    if isinstance(content, list):
        read(".jsonl", "\n".join(map(json.dumps, content)).encode(), Path())


def words() -> st.SearchStrategy[list[str]]:
    names = [field for cls in (*ALL, GridArguments) for field in cls.__dataclass_fields__]
    # `debug` would wait for a debugger and compile for minutes, others reach for devices or the network.
    names = [
        name for name in names if not re.search("debug|compile|fsdp|deepspeed|hub|report_to|backend|tpu|config", name)
    ]
    value = st.one_of(
        st.sampled_from(
            [
                "0",
                "-1",
                "nan",
                "inf",
                "1e308",
                "9" * 30,
                "",
                "true",
                "no",
                "{}",
                "[1]",
                '{"a": 1}',
                "\ud800",
                "가",
                "\x1b[2J",
            ]
        ),
        st.text(max_size=6),
        st.floats().map(str),
    )
    return st.lists(st.builds("--{}={}".format, st.sampled_from(names), value), max_size=3)


@settings(QUICK, max_examples=400)
@given(words())
def test_random_arguments_are_taken_or_refused(words):
    try:
        parse_arguments([GridArguments], words, partial=True)
        parse_arguments(ALL, words)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("suffix", FORMATS)
def test_bytes_that_reach_further_are_read_or_refused(warm, suffix):
    """Some seconds of coverage-guided fuzzing a format, each input within 20 seconds and 2 GiB."""
    process = warm.start([__file__, "6", suffix])
    assert process.wait() == 0, process.out()[-2000:] + process.err()[-4000:]
    assert int(re.search(r"Done (\d+) runs", process.err()).group(1)) > 100, process.err()[-1000:]


def main(seconds: str, suffix: str) -> None:
    """Fuzz a format with atheris; ends with status 0 where nothing but `UserError` was raised."""
    import atheris

    folder = Path(tempfile.mkdtemp())
    for number, data in enumerate(seeds(suffix)):
        bad.put(folder / "corpus" / str(number), data)
    for module in [name for name in sys.modules if name.startswith(("emo_hf.data", "emo_hf.arguments.config_file"))]:
        for name, value in vars(sys.modules[module]).items():
            if callable(value) and getattr(value, "__module__", "") == module and hasattr(value, "__code__"):
                setattr(sys.modules[module], name, atheris.instrument_func(value))
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-max_len=20000",
        "-print_final_stats=1",
    ]
    options.append(f"-artifact_prefix={folder}/")
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], lambda data: read(suffix, data, folder))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
