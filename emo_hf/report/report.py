"""Tables and pictures of a study, from its run records alone: nothing here needs torch or transformers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import joblib

from emo_hf.errors import UserError
from emo_hf.report.analysis import EQUAL_WITHIN, Analysis, label_of_maps
from emo_hf.report.clusters import write_clusters, write_clusters_csv
from emo_hf.report.findings import write_findings
from emo_hf.report.grouping import by_encoder, group_runs, varied
from emo_hf.report.page import PAGE_FILE, write_page
from emo_hf.report.plots.calibration import draw_calibration
from emo_hf.report.plots.confusion import draw_confusion
from emo_hf.report.plots.embeddings import draw_embeddings, map_of
from emo_hf.report.plots.history import draw_history
from emo_hf.report.plots.labels import draw_cooccurrence, draw_labels
from emo_hf.report.plots.risks import draw_risks
from emo_hf.report.plots.thresholds import draw_thresholds
from emo_hf.report.plots.tuning import draw_tuning
from emo_hf.report.predictions import read_predictions
from emo_hf.report.risks import write_risks
from emo_hf.report.sweep import draw_sweep, write_sweep
from emo_hf.report.table import write_csv_table, write_latex_table, write_table
from emo_hf.report.tuning import tuned_models, write_tuning
from emo_hf.report.wording import LANGUAGES
from emo_hf.storage.files import file_stem
from emo_hf.storage.record import read_records

logger = logging.getLogger(__name__)

_MAPS = {"t-SNE": "embeddings", "UMAP": "umap"}  # method -> the name of its pictures


def write_report(
    study_dir: Path | str,
    *,
    lang: str = "en",
    umap: bool = False,
    jobs: int = 1,
    equal_within: float = EQUAL_WITHIN,
    map_label: str | None = None,
) -> list[Path]:
    """Write the table and the pictures of a study into its folder and return their paths.

    Files: report.html, table.md, .csv and .tex, findings.md, clusters.md and .csv, risks.md, and for each encoder
    history_, embeddings_, confusion_, calibration_ and risks_<encoder>.png, with `umap=True` also umap_<encoder>.png.
    A sweep has sweep.md and sweep_<argument>.png instead of clusters, risks and pictures; a study that was tuned also
    tuning.md and tuning_<encoder>.png. Where rows may have several labels there are no clusters, risks and confusions,
    but labels.png, cooccurrence.png and thresholds_<encoder>.png, and maps are coloured by `map_label`, by default the
    commonest.
    The same records give the same files, byte for byte. `jobs` pictures are drawn side by side, each in a process of
    its own beyond one. Two models count as equal where a difference beyond `equal_within` points of macro-F1 is ruled
    out.

    Raises UserError when the folder holds no completed run of a model, its runs do not belong together, `lang` is
    unknown, `equal_within` is not above 0, or `map_label` is no label of rows with several.
    """
    if lang not in LANGUAGES:
        raise UserError(f"lang is {lang!r}; allowed are {', '.join(LANGUAGES)}")
    folder = Path(study_dir)
    analysis = Analysis.read(folder, equal_within=equal_within, map_label=map_label)
    paths = [
        write_table(analysis, folder / "table.md", lang=lang),
        write_csv_table(analysis, folder / "table.csv"),
        write_latex_table(analysis, folder / "table.tex", lang=lang),
        write_findings(analysis, folder / "findings.md", lang=lang),
    ]
    if analysis.swept:
        paths.append(write_sweep(analysis, folder / "sweep.md", lang=lang))
        for name in varied(analysis.models) if analysis.classes else []:
            paths.append(draw_sweep(analysis, folder / f"sweep_{file_stem(name)}.png", name=name, lang=lang))
    else:
        if not analysis.multi_label:
            paths.append(write_clusters(analysis, folder / "clusters.md", lang=lang))
            paths.append(write_clusters_csv(analysis, folder / "clusters.csv"))
            if analysis.risks is not None:
                paths.append(write_risks(analysis, folder / "risks.md", lang=lang))
        paths += _draw_sheets(analysis, ["t-SNE", "UMAP"] if umap else ["t-SNE"], lang, jobs)
    paths += _write_tuning(analysis, lang)
    paths.append(write_page(analysis, folder / PAGE_FILE, lang=lang))
    logger.info("wrote %d files of the report to %s", len(paths), folder)
    return paths


def map_encoder(study_dir: Path | str, encoder: str) -> None:
    """Compute the t-SNE maps of an encoder whose runs are all done, most of a report's work, and keep them for it.

    encoder: as records name it, in model.encoder.
    """
    folder = Path(study_dir)
    for stem, models in by_encoder(group_runs(read_records(folder))[0]).items():
        if models[0].runs[0]["model"]["encoder"] == encoder:
            map_of(
                Analysis(models, [], read_predictions(models), map_label=label_of_maps(models[0])),
                folder / f"{_MAPS['t-SNE']}_{stem}.png",
            )


def _write_tuning(analysis: Analysis, lang: str) -> list[Path]:
    """What tuning has chosen, and a picture each encoder; nothing of a study that was not tuned."""
    tuned = tuned_models(analysis)
    if not tuned:
        return []
    paths = [write_tuning(analysis, tuned, analysis.folder / "tuning.md", lang=lang)]
    for stem, sheet in analysis.sheets().items():
        if inside := [one for one in tuned if one.model in sheet.models]:
            paths.append(draw_tuning(inside, analysis.folder / f"tuning_{stem}.png", lang=lang))
    return paths


def _draw_sheets(analysis: Analysis, methods: list[str], lang: str, jobs: int) -> list[Path]:
    """The pictures of each encoder, `jobs` at a time."""
    kinds: list[tuple[str, Any, dict[str, Any]]] = [
        ("history", draw_history, {}),
        *((_MAPS[method], draw_embeddings, {"method": method}) for method in methods),
        ("thresholds", draw_thresholds, {}) if analysis.multi_label else ("confusion", draw_confusion, {}),
        ("calibration", draw_calibration, {}),
        *([("risks", draw_risks, {"risks": analysis.risks})] if analysis.risks is not None else []),
    ]
    pictures = [
        joblib.delayed(draw)(sheet, analysis.folder / f"{kind}_{stem}.png", lang=lang, **options)
        for stem, sheet in analysis.sheets().items()
        for kind, draw, options in kinds
    ]
    if analysis.multi_label and analysis.classes:
        pictures += [
            joblib.delayed(draw)(analysis, analysis.folder / f"{name}.png", lang=lang)
            for name, draw in (("labels", draw_labels), ("cooccurrence", draw_cooccurrence))
        ]
    # A process takes a second to start: one encoder's pictures are not worth a second one.
    return joblib.Parallel(n_jobs=max(1, min(jobs, len(pictures) // 4)))(pictures)
