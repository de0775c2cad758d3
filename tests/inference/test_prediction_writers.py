"""Predictions for spreadsheets and terminals hold nothing that these would run."""

from __future__ import annotations

import csv
import io

import pytest

from emo_hf.escaping import csv_name
from emo_hf.inference.prediction_files import writer_to
from emo_hf.inference.predictions import Prediction


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_predictions_hold_no_formula(kind):
    labels, out = ["=1+1", "-"], io.StringIO()
    writer = writer_to(out, kind, ["=id", "label"], labels, mark=False)
    for other, text in (("=2", "@x"), ("-", "-3"), ("+8210", "좋아"), ("-1,234.5e-7", "\r=1"), ("+82-10", " +1")):
        writer.write(Prediction(1, (other, "007"), text, "=1+1", [0.75, 0.25]))
    delimiter = "," if kind == "csv" else "\t"
    assert list(csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter)) == [
        ["'=id", "input_label", "sentence", "label", "'=1+1", "-"],
        ["'=2", "007", "'@x", "'=1+1", "0.7500", "0.2500"],
        ["-", "007", "-3", "'=1+1", "0.7500", "0.2500"],
        ["+8210", "007", "좋아", "'=1+1", "0.7500", "0.2500"],
        ["-1,234.5e-7", "007", "'\r=1", "'=1+1", "0.7500", "0.2500"],
        ["'+82-10", "007", "' +1", "'=1+1", "0.7500", "0.2500"],
    ]


def test_a_number_of_a_million_digits_is_told_from_a_formula_at_once():
    assert csv_name("-" + "1" * 1_000_000 + "x").startswith("'-1") and csv_name("-" + "1" * 1_000_000)[0] == "-"


def test_predictions_steer_no_terminal():
    out = io.StringIO()
    writer_to(out, "text", [], ["기쁨"], mark=False).write(Prediction(1, (), "가\r\n나\x1b]52;c;x\x07", "기쁨", [1.0]))
    assert out.getvalue() == "기쁨\t기쁨 1.00\t가 나\\x1b]52;c;x\\x07\n"
