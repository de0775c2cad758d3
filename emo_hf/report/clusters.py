"""Does it cluster? The scores of the test embeddings of each model, as markdown and CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from emo_hf.files import write_whole
from emo_hf.report.grouping import ModelRuns
from emo_hf.report.table import MISSING, Score, csv_name, markdown_name
from emo_hf.report.wording import WORDS

# Decimals, and whether it is a share that reads better in percent.
COLUMNS = {
    "silhouette": (3, False),
    "davies_bouldin": (2, False),
    "knn_accuracy": (1, True),
    "probe_accuracy": (1, True),
    "nmi": (3, False),
    "ari": (3, False),
    "alignment": (3, False),
    "uniformity": (2, False),
}


def cluster_scores(model: ModelRuns) -> dict[str, Score]:
    """Mean and sd over seeds of each score; missing where a run has none."""
    found = [run["test"].get("embeddings") or {} for run in model.runs]
    return {column: Score.over([scores.get(column) for scores in found]) for column in COLUMNS}


def write_clusters(models: list[ModelRuns], study_dir: Path, *, lang: str = "en") -> list[Path]:
    """Write clusters.md and clusters.csv into the study's folder and return their paths."""
    return [
        write_whole(study_dir / "clusters.md", clusters_markdown(models, lang=lang).encode("utf-8")),
        write_whole(study_dir / "clusters.csv", clusters_csv(models).encode("utf-8-sig")),
    ]


def clusters_markdown(models: list[ModelRuns], *, lang: str = "en") -> str:
    """One row a model."""
    words = WORDS[lang]
    header = [words[key] for key in ("model", "encoder", "pooling", "aux", *COLUMNS)]
    lines = [header, ["---"] * 4 + ["---:"] * len(COLUMNS)]
    for model in models:
        names = [markdown_name(str(name)) for name in (model.number, model.encoder, model.pooling, model.aux)]
        lines.append([*names, *(_text(column, score) for column, score in cluster_scores(model).items())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{words['clusters_note']}\n"


def clusters_csv(models: list[ModelRuns]) -> str:
    """Plain numbers, in columns <score>_mean and <score>_sd."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    numbers = [f"{column}_{part}" for column in COLUMNS for part in ("mean", "sd")]
    writer.writerow(["model", "encoder", "pooling", "loss", *numbers])
    for model in models:
        row = [str(model.number), *(csv_name(name) for name in (model.encoder, model.pooling, model.aux))]
        for score in cluster_scores(model).values():
            row += ["" if value is None else f"{value:.6f}" for value in (score.mean, score.sd)]
        writer.writerow(row)
    return buffer.getvalue()


def _text(column: str, score: Score) -> str:
    decimals, percent = COLUMNS[column]
    values = [value * (100 if percent else 1) for value in (score.mean, score.sd) if value is not None]
    return " ± ".join(f"{value:.{decimals}f}" for value in values) or MISSING
