"""AI Hub's releases in its formats, with dialogues of our own."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import openpyxl

CODES = ["E31", "E20", "E69", "E18", "E45", "E51"]
NAMES = {
    "E31": ("불안", "두려운"),
    "E20": ("슬픔", "슬픔"),
    "E69": ("기쁨", "자신하는"),
    "E18": ("분노", "노여워하는"),
    "E45": ("상처", "가난한, 불우한"),
    "E51": ("당황", "고립된"),
}


def dialogues(count: int, start: int = 0) -> list[dict]:
    """Dialogues of two human turns, the third empty, as all lists of AI Hub's JSON hold them."""
    records = []
    for number in range(start, start + count):
        code = CODES[number % 6]
        content = {
            "HS01": f"첫 말 {number}",
            "SS01": "네?",
            "HS02": f"둘째 말 {number}",
            "SS02": "네.",
            "HS03": "",
            "SS03": "",
        }
        records.append(
            {
                "profile": {
                    "persona-id": "Pro_1",
                    "persona": {"persona-id": "A02_G02_C01", "human": ["A02", "G02"], "computer": ["C01"]},
                    "emotion": {"emotion-id": f"S06_D02_{code}", "type": code, "situation": ["S06", "D02"]},
                },
                "talk": {"id": {"profile-id": "Pro_1", "talk-id": f"Pro_1_{number:05d}"}, "content": content},
            }
        )
    return records


def as_json(count: int, start: int = 0) -> bytes:
    return json.dumps(dialogues(count, start), ensure_ascii=False).encode()


def as_xlsx(count: int, start: int = 0, older: bool = False) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sheet1"
    turns = 4 if older else 3
    system = "시스템응답" if older else "시스템문장"
    sheet.append(
        ["번호" if older else "Unnamed: 0", "연령", "성별", "상황키워드", "신체질환", "감정_대분류", "감정_소분류"]
        + [name for turn in range(1, turns + 1) for name in (f"사람문장{turn}", f"{system}{turn}")]
    )
    for number in range(start, start + count):
        major, sub = NAMES[CODES[number % 6]]
        said = [f"첫 말 {number}", "네?", f"둘째 말 {number}", "네."] + [None] * (2 * turns - 4)
        sheet.append([number, "청년", "여성", "재정", "해당없음", f"{major} ", f"{sub} ", *said])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def download(folder: Path) -> Path:
    """The folder tree as downloaded: labels as JSON and the same dialogues as XLSX, each in a zip."""
    name = "감성대화말뭉치(최종데이터)"
    for part, count, start in (("Training", 120, 0), ("Validation", 24, 500)):
        base = folder / "018.감성대화" / f"{part}_221115_add"
        put(base / "라벨링데이터" / f"{name}_{part}.zip", as_zip({f"{name}_{part}.json": as_json(count, start)}))
        put(base / "원천데이터" / f"{name}_{part}.zip", as_zip({f"{name}_{part}.xlsx": as_xlsx(count, start)}))
    return folder
