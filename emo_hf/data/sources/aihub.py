"""AI Hub's emotional dialogue corpus as downloaded: how its tables are known, and which of its formats are read."""

from __future__ import annotations

from emo_hf.data.sources.tables import Table

# The same dialogues come as labels (JSON) and as source (XLSX), and people add exports: the first one found is read.
SUFFIXES = (".json", ".xlsx", ".csv", ".tsv", ".jsonl", ".parquet", ".txt")
VALIDATION_IS_TEST = "AI Hub's validation part is the test set, as AI Hub keeps its own test part to itself"


def is_release(table: Table) -> bool:
    """Say whether a table has the columns of AI Hub's corpus."""
    return {"사람문장1", "감정_대분류"} <= set(table.frame.columns)
