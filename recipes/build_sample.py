"""Build the bundled sample, `emo_hf/data/sample/emotions.csv`, from a folder of `part_*.csv`.

    python recipes/build_sample.py FOLDER

Each cell of situation × sub-emotion holds 8 sentences: 5 go to train, 1 to validation, 2 to test. Which ones depends
on the seed and the cell's name only, so an edited sentence keeps its split.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.storage.files import write_whole

CELL = ["train"] * 5 + ["validation"] + ["test"] * 2
COLUMNS = ["sentence", "label", "sub_emotion", "situation", "age_group"]
TARGET = Path(__file__).parents[1] / "emo_hf" / "data" / "sample" / "emotions.csv"


def split_cells(sentences: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Give every cell of 8 its 5 + 1 + 2; return the rows sorted by split, in the order of the parts within it."""
    split = pd.Series("", index=sentences.index)
    for (situation, label, sub_emotion), cell in sentences.groupby(["situation", "label", "sub_emotion"]):
        if len(cell) != len(CELL):
            raise UserError(f"{situation}, {label}, {sub_emotion}: {len(cell)} sentences, {len(CELL)} are needed")
        names = CELL.copy()
        random.Random(f"{seed}/{situation}/{label}/{sub_emotion}").shuffle(names)
        split[cell.index] = names
    order = split.map({"train": 0, "validation": 1, "test": 2}).sort_values(kind="stable").index
    return sentences.assign(split=split).loc[order]


@command()
def main(argv: Sequence[str]) -> None:
    """Read the parts, split, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("folder", type=Path, help="holds part_*.csv")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_words(argv)
    parts = [pd.read_csv(path, dtype="str") for path in sorted(arguments.folder.glob("part_*.csv"))]
    if not parts:
        raise UserError(f"{arguments.folder} holds no part_*.csv; give the folder of the parts")
    sentences = pd.concat(parts, ignore_index=True)[COLUMNS]
    for column in COLUMNS:
        sentences[column] = sentences[column].str.normalize("NFC").str.strip()
    content = split_cells(sentences, arguments.seed).to_csv(index=False, lineterminator="\n")
    write_whole(TARGET, content.encode())


if __name__ == "__main__":
    sys.exit(main())
