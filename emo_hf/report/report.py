"""Tables and pictures of a study, from its run records alone: nothing here needs torch or transformers."""

from __future__ import annotations

import logging
from pathlib import Path

import joblib

from emo_hf.errors import UserError
from emo_hf.report.clusters import write_clusters
from emo_hf.report.findings import write_findings
from emo_hf.report.grouping import by_encoder, group_runs
from emo_hf.report.page import write_page
from emo_hf.report.plots.calibration import draw_calibration
from emo_hf.report.plots.confusion import draw_confusion
from emo_hf.report.plots.embeddings import draw_embeddings, map_of
from emo_hf.report.plots.history import draw_history
from emo_hf.report.sweep import write_sweep
from emo_hf.report.table import write_table
from emo_hf.report.wording import LANGUAGES
from emo_hf.storage.record import read_records

logger = logging.getLogger(__name__)

_MAPS = {"t-SNE": "embeddings", "UMAP": "umap"}  # method -> the name of its pictures


def write_report(study_dir: Path | str, *, lang: str = "en", umap: bool = False, jobs: int = 1) -> list[Path]:
    """Write the table and the pictures of a study into its folder and return their paths.

    Files: report.html, table.md, .csv and .tex, findings.md, clusters.md and .csv, and for each encoder history_,
    embeddings_, confusion_ and calibration_<encoder>.png, with `umap=True` also umap_<encoder>.png. A sweep has
    sweep.md and sweep_<argument>.png instead of clusters and pictures. The same records give the same files, byte for
    byte. `jobs` pictures are drawn side by side, each in a process of its own beyond one.

    Raises UserError when the folder holds no completed run, its runs do not belong together, or `lang` is unknown.
    """
    study_dir = Path(study_dir)
    if lang not in LANGUAGES:
        raise UserError(f"lang is {lang!r}; allowed are {', '.join(LANGUAGES)}")
    records = read_records(study_dir)
    if not records:
        raise UserError(f"{study_dir} holds no completed run (<run>/record.json); run the study first")
    models, yardsticks = group_runs(records)
    paths, _ = write_table(models, yardsticks, study_dir, lang=lang)
    if any(model.settings for model in models):
        paths.append(write_findings(models, study_dir, lang=lang))
        paths += write_sweep(models, study_dir, lang=lang)
        return [*paths, write_page(models, yardsticks, study_dir, lang=lang)]
    paths.append(write_findings(models, study_dir, lang=lang))
    paths += write_clusters(models, study_dir, lang=lang)
    methods = ["t-SNE", "UMAP"] if umap else ["t-SNE"]
    pictures = [
        joblib.delayed(draw)(encoder_models, study_dir / f"{kind}_{stem}.png", lang=lang, **options)
        for stem, encoder_models in by_encoder(models).items()
        for kind, draw, options in [
            ("history", draw_history, {}),
            *((_MAPS[method], draw_embeddings, {"method": method}) for method in methods),
            ("confusion", draw_confusion, {}),
            ("calibration", draw_calibration, {}),
        ]
    ]
    # A process takes a second to start: one encoder's pictures are not worth a second one.
    paths += joblib.Parallel(n_jobs=min(jobs, len(pictures) // 4))(pictures)
    paths.append(write_page(models, yardsticks, study_dir, lang=lang))
    logger.info("wrote %d files of the report to %s", len(paths), study_dir)
    return paths


def map_encoder(study_dir: Path | str, encoder: str) -> None:
    """Compute the t-SNE maps of an encoder whose runs are all done, most of a report's work, and keep them for it.

    encoder: as records name it, in model.encoder.
    """
    study_dir = Path(study_dir)
    for stem, models in by_encoder(group_runs(read_records(study_dir))[0]).items():
        if models[0].runs[0]["model"]["encoder"] == encoder:
            map_of(models, study_dir / f"{_MAPS['t-SNE']}_{stem}.png")
