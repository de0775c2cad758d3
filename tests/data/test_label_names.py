"""Labels as they are typed: renamed, joined, and one class whatever their spelling."""

from __future__ import annotations

import unicodedata

import pytest
from tables import error_of, write

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.label_names import final_names, read_label_map
from emo_hf.data.loading import load_emotion_data
from emo_hf.training.loaded import load_data


def named(counts, wanted=None, label_map=None):
    return final_names(counts, wanted, read_label_map(label_map))[0]


SPELLINGS = {
    "case, the commonest": ({"Angry": 2, "angry": 4, "sad": 3}, None, {"Angry": "angry"}),
    "width": ({"Ａｎｇｒｙ": 1, "Angry": 1, "angry": 3}, None, {"Ａｎｇｒｙ": "angry", "Angry": "angry"}),
    "blanks": ({"스트레스 받는": 2, "스트레스받는": 5}, None, {"스트레스 받는": "스트레스받는"}),
    "blanks, evenly": ({"스트레스 받는": 2, "스트레스받는": 2}, None, {"스트레스받는": "스트레스 받는"}),
    "commas of AI Hub": ({"가난한, 불우한": 1, "가난한·불우한": 2}, None, {"가난한, 불우한": "가난한·불우한"}),
    "asked for": ({"angry": 9, "ANGRY": 9}, ("Angry", "sad"), {"angry": "Angry", "ANGRY": "Angry"}),
    "both asked for": ({"angry": 9, "Angry": 9}, ("Angry", "angry"), {}),
    "other words": ({"angry": 9, "anger": 9}, None, {}),
    "numbers": ({"0.0": 3, "1.0": 2, "0.50": 1}, None, {"0.0": "0", "1.0": "1", "0.50": "0.5"}),
    "numbers of two files": ({"0.0": 3, "0": 2, "1": 1}, None, {"0.0": "0"}),
    "numbers asked for": ({"0": 3, "1": 2}, ("0.0", "1.0"), {"0": "0.0", "1": "1.0"}),
    "numbers among words": ({"1.0": 3, "1.50": 1, "beta": 2}, None, {"1.0": "1", "1.50": "1.5"}),
    "numbers among words, asked for": ({"1": 3, "beta": 2}, ("1.0", "beta"), {"1": "1.0"}),
    "missing": ({"nan": 1, "None": 1, "NaN": 1, "a": 1}, None, {"nan": "", "None": "", "NaN": ""}),
    "missing, but asked for": ({"None": 1, "none": 1, "a": 1}, ("None", "a"), {"none": "None"}),
    "none is a word": ({"none": 1, "NA": 1}, None, {}),
    "of databases and spreadsheets": (
        {"NULL": 1, "null": 1, "N/A": 1, "#N/A": 1, "\\N": 1, "a": 1},
        None,
        {"NULL": "", "null": "", "N/A": "", "#N/A": "", "\\N": ""},
    ),
    "of databases, but asked for": ({"null": 1, "N/A": 1, "a": 1}, ("null", "a"), {"N/A": ""}),
    "a code and its name": ({"분노": 1, "E10": 9, "e10": 1, "E60": 2}, None, {"E10": "분노", "e10": "분노"}),
    "a code alone": ({"E10": 9, "e10": 1}, None, {"e10": "E10"}),
    "missing, but renamed": ({"nan": 1, "a": 1}, None, {}),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_one_name_whatever_the_spelling(case):
    counts, wanted, changed = SPELLINGS[case]
    renamed = ["nan=nothing"] if case == "missing, but renamed" else None
    changed = {"nan": "nothing"} if renamed else changed
    assert named(counts, wanted, renamed) == {name: changed.get(name, name) for name in counts}


MAPS = {
    "words": (["0=부정", "1=긍정"], {"0": "부정", "1": "긍정"}),
    "joined": (["0=x", "1=x"], {"0": "x", "1": "x"}),
    "swapped": (["0=1", "1=0"], {"0": "1", "1": "0"}),
    "in another form": (["0.0=부정"], {"0": "부정", "1": "1"}),
    "a mapping": ({"0": "부정"}, {"0": "부정", "1": "1"}),
}


@pytest.mark.parametrize("case", MAPS)
def test_what_a_label_map_renames(case):
    given, expected = MAPS[case]
    assert named({"0": 5, "1": 4}, None, given) == expected


def test_a_label_map_knows_spellings_but_takes_the_exact_one_first():
    counts = {"anger": 5, "Anger": 3, "ANGER": 1}
    assert named(counts, None, ["anger=angry"]) == dict.fromkeys(counts, "angry")
    assert named(counts, None, ["anger=angry", "Anger=furious"]) == {
        "anger": "angry",
        "Anger": "furious",
        "ANGER": "angry",
    }


def test_names_with_the_sign_between(tmp_path):
    assert named({"a=b": 1, "c": 1}, None, ["a=b=c=d"]) == {"a=b": "c=d", "c": "c"}
    path = tmp_path / "map.yaml"
    path.write_text("0: 부정\nno: 긍정\n'a=b': [c, d]\nnew: [x, y]\n", encoding="utf-8")
    assert [ways[0] for ways in read_label_map([str(path)])] == [
        ("0", "부정"), ("no", "긍정"), ("c", "a=b"), ("d", "a=b"), ("x", "new"), ("y", "new"),
    ]  # fmt: skip


def test_pairs_that_commas_part_and_names_that_hold_one():
    counts = {"0": 1, "1": 1, "가난한, 불우한": 1}
    assert named(counts, None, ["0=부정,1=긍정"]) == {"0": "부정", "1": "긍정", "가난한, 불우한": "가난한, 불우한"}
    assert named(counts, None, ["0=부정, 1=긍정"])["1"] == "긍정"
    assert named(counts, None, ["가난한, 불우한=상처"])["가난한, 불우한"] == "상처"
    assert named(counts, None, ["0=가난한, 불우한"])["0"] == "가난한, 불우한"


WRONG = {
    "no such label": (["angr=x"], "renames 'angr', but no row has that label; nearest is 'anger'."),
    "nothing alike": (["화=x"], "no row has that label; the rows have 'anger', 'joy'."),
    "no sign": (["anger"], "'anger' renames nothing; write old=new"),
    "no name": (["anger="], "'anger=' renames nothing"),
    "two names": (["anger=a", "anger=b"], "gives 'anger' two names, 'a' and 'b'"),
    "no file": (["nowhere.yaml"], "nowhere.yaml can't be opened"),
}


@pytest.mark.parametrize("case", WRONG)
def test_label_maps_that_are_wrong(tmp_path, case):
    given, said = WRONG[case]
    records = [{"text": f"문장 {i}", "label": ["anger", "joy"][i % 2]} for i in range(20)]
    assert said in error_of(write(tmp_path / "data.csv", records), labels="all", label_map=given)


@pytest.mark.parametrize(
    "content", ["- a\n- b\n", "a: {b: c}\n", "a: [1, [2]]\n", "a: ''\n", "a: [\n", "just words", "a: b\na: c\n"]
)
def test_yaml_files_that_are_no_map(tmp_path, content):
    path = tmp_path / "map.yml"
    path.write_text(content, encoding="utf-8")
    records = [{"text": f"문장 {i}", "label": ["a", "b"][i % 2]} for i in range(20)]
    said = error_of(write(tmp_path / "data.csv", records), labels="all", label_map=[str(path)])
    assert said.startswith(f"--label_map {path} is no")


def test_a_changed_map_is_read_again(tmp_path):
    records = [{"text": f"문장 {i}", "label": ["a", "b"][i % 2]} for i in range(20)]
    path, file = write(tmp_path / "data.csv", records), tmp_path / "map.yaml"
    arguments = DataArguments(data=[str(path)], labels=["all"], label_map=[str(file)])
    for name in ("기쁨", "슬픔이"):
        file.write_text(f"a: {name}\n", encoding="utf-8")
        assert load_data(arguments).labels == ("b", name)


def test_what_was_read_otherwise_is_said_with_counts(tmp_path):
    typed = ["Angry", "angry", "angry", "sad"]
    records = [{"text": f"문장 {i}", "label": typed[i % 4]} for i in range(40)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)), labels="all", label_map=["sad=슬픔"])
    assert data.labels == ("angry", "슬픔")
    assert data.report["labels_renamed"] == {"Angry": "angry", "sad": "슬픔"}
    assert data.report["notes"] == [
        "labels were renamed by --label_map: sad (10 rows) is 슬픔",
        "labels that differ by case, width or blanks alone are one: Angry (10 rows) is angry",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".json", ".parquet"])
def test_fractions_are_the_same_numbers_in_every_format(tmp_path, suffix):
    records = [{"text": f"문장 {i}", "label": float(i % 2)} for i in range(20)]
    assert load_emotion_data(str(write(tmp_path / f"a{suffix}", records)), labels="all").labels == ("0", "1")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".json", ".jsonl"])
def test_fractions_beside_words_are_the_same_in_every_format(tmp_path, suffix):
    records = [{"text": f"문장 {i}", "label": [1.0, 2.0, "기쁨"][i % 3]} for i in range(30)]
    assert load_emotion_data(str(write(tmp_path / f"a{suffix}", records)), labels="all").labels == ("1", "2", "기쁨")


def test_a_name_and_its_code_are_said_to_be_one(tmp_path):
    typed = ["분노", "E10", "E10", "슬픔", "슬 픔"]
    records = [{"text": f"문장 {i}", "label": typed[i % 5]} for i in range(50)]
    path = str(write(tmp_path / "data.csv", records))
    data = load_emotion_data(path, labels="all")
    assert data.labels == ("분노", "슬 픔")
    assert data.report["notes"][0] == (
        "labels that are a name and its code in AI Hub's corpus are one: E10 (20 rows) is 분노"
    )
    assert "differ by case, width or blanks alone" in data.report["notes"][1] and len(data.report["notes"]) == 2
    (note,) = load_emotion_data(path, labels=["분노", "슬픔"]).report["notes"]
    assert "E10" not in note


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".json", ".parquet"])
def test_truth_has_the_same_names_in_every_format(tmp_path, suffix):
    records = [{"text": f"문장 {i}", "label": i % 2 == 0} for i in range(20)]
    assert load_emotion_data(str(write(tmp_path / f"a{suffix}", records)), labels="all").labels == ("False", "True")


def test_names_are_nfc_before_they_are_compared(tmp_path):
    records = [{"text": f"문장 {i}", "label": ["부정", "긍정"][i % 2]} for i in range(20)]
    renamed = [unicodedata.normalize("NFD", "부정=나쁨")]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)), labels="all", label_map=renamed)
    assert data.labels == ("긍정", "나쁨")
