"""The card of a pushed model, from the records of its runs alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from emo_hf.encoders import BUNDLED
from emo_hf.encoders.packed import PACKED
from emo_hf.errors import UserError
from emo_hf.escaping import hub_id, markdown_name
from emo_hf.evaluation.label_set_metrics import label_set_intervals
from emo_hf.evaluation.scores import METRICS
from emo_hf.evaluation.statistics import bootstrap_interval
from emo_hf.evaluation.thresholds import decide, sigmoid
from emo_hf.report.analysis import Analysis, label_of_maps
from emo_hf.report.findings import baseline_sentences
from emo_hf.report.grouping import group_runs
from emo_hf.report.plots.confusion import draw_confusion
from emo_hf.report.plots.embeddings import draw_embeddings
from emo_hf.report.predictions import read_predictions
from emo_hf.report.table import Score
from emo_hf.storage.model_numbers import original_number
from emo_hf.storage.record import STUDY_FILE, adapters, classifier_loss, load_predictions

PICTURES = {"confusion.png": draw_confusion, "embeddings.png": draw_embeddings}
SCORES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
# Of a model that gives several labels a row.
SET_SCORES = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "sample_f1": "sample-F1, the mean over rows",
    "accuracy": "rows with all labels right",
    "mean_average_precision": "mean average precision",
    "lrap": "label ranking average precision",
    "coverage_error": "coverage error: labels down a row's ranking until all of its own are found",
}
FEW_LABELS = 20  # a longer table is folded
# Shown beside the model on the Hub; written for this card, so that no sentence of anyone's data leaves the house.
WIDGET = ("드디어 합격했어!", "내일 발표라 잠이 안 와.", "할머니 사진을 보니까 눈물이 났어.")


def model_card(
    record: dict[str, Any],
    repo_id: str,
    run_dir: Path | None = None,
    *,
    seeds: Sequence[dict[str, Any]] = (),
    adapter: dict[str, Any] | None = None,
) -> str:
    """Markdown with front matter for one run; of a repository of adapters alone, with what `check_adapter` found.

    Intervals come from the predictions in `run_dir`, pictures from the files there, what is said of the linear
    baseline from the study whose folder holds it, and the mean over seeds from `seeds`, the records of all runs of the
    same model.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("emo_hf.hub", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # it is Markdown: what comes from outside goes through `md`
    )
    environment.filters["md"] = lambda value: markdown_name(str(value))
    model, data, several = record["model"], record["data"], gives_several(record)
    parent = model.get("parent") or {}
    ngrams = ((record.get("arguments") or {}).get("model") or {}).get("ngrams")
    return environment.get_template("model_card.md").render(
        front=front_matter(record, repo_id, adapter=adapter is not None).to_yaml(),
        repo_id=repo_id,
        name=repo_id.split("/")[-1],
        record=record,
        model=model,
        data=data,
        source=_source(record),
        test=record["test"],
        several=several,
        scores=SET_SCORES if several else SCORES,
        ranked=sorted(
            (score["f1"], label) for label, score in record["test"]["per_class"].items() if score["support"]
        ),
        folded=several and len(data["labels"]) > FEW_LABELS,
        absent=[label for label, score in record["test"]["per_class"].items() if not score["support"]],
        loss=classifier_loss(model) + ("" if model["aux"] == "none" else f" + {model['aux']} loss"),
        ngrams=ngrams,
        prefix=model.get("prefix"),
        lora=", ".join(adapters(model)),
        adapter=adapter,
        number=None if model.get("lora") else original_number(model["pooling"], model["aux"]),
        bundled=model["encoder"] in BUNDLED,
        encoder=model["name"] if parent else model["encoder"],
        parent=parent.get("run_id") or (hub_id(parent.get("from")) if parent else None),
        seen=((data.get("report") or {}).get("seen_before") or {}).get("test"),
        small=data["source"] == "sample",
        against_baseline=_against_baseline(run_dir),
        intervals=_intervals(record, run_dir),
        over_seeds=_over_seeds(seeds),
        calibrated=(record.get("calibration") or {}).get("test"),
        promises=record.get("promises") or {},
        percent=lambda shares: [100 * share for share in shares],
        temperatures=(record.get("calibration") or {}).get("temperatures"),
        splits=data["report"]["rows"]
        if several
        else {split: sum(rows.values()) for split, rows in data["counts"].items()},
        labels_a_row=sum(data["counts"]["train"].values()) / data["report"]["rows"]["train"] if several else None,
        training=(record.get("arguments") or {}).get("training") or {},
        max_length=((record.get("arguments") or {}).get("data") or {}).get("max_length"),
        map_label=_map_label(record),
        pictures=[name for name in pictures(record) if run_dir is not None and (run_dir / name).exists()],
        example=WIDGET[0],
    )


def gives_several(record: dict[str, Any]) -> bool:
    """Whether the model of a run gives several labels a row."""
    return (record["data"].get("report") or {}).get("task") == "multi"


def pictures(record: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """What draws the pictures of a card, by their files; rows of several labels have no confusion of classes."""
    return {name: draw for name, draw in PICTURES.items() if draw is draw_embeddings or not gives_several(record)}


def front_matter(record: dict[str, Any], repo_id: str, *, adapter: bool = False) -> ModelCardData:
    """What the Hub reads: language, base model, data set, results, widget, tags, licence."""
    model, test, data = record["model"], record["test"], record["data"]
    bundled, several = model["encoder"] in BUNDLED, gives_several(record)
    scores = (
        [("f1", "macro_f1", "macro-F1"), ("f1", "micro_f1", "micro-F1")]
        if several
        else [("accuracy", "accuracy", None), ("f1", "macro_f1", None)]
    )
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=hub_id(data["source"]) or "emo_hf-sample",
            dataset_name=_source(record),
            dataset_split="test",
            metric_type=metric,
            metric_value=round(test[key], 4),
            metric_name=name,
        )
        for metric, key, name in scores
    ]
    return ModelCardData(
        language="ko",
        license="apache-2.0" if bundled else None,  # of others only their authors can say
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-classification",
        base_model=None if bundled else _base(model["encoder"]),
        datasets=[found] if (found := hub_id(data["source"])) else None,
        metrics=["f1"] if several else ["accuracy", "f1"],
        tags=[
            "emo_hf",
            "emotion-classification",
            *(["multi-label-classification"] if several else []),
            "metric-learning",
            f"{model['pooling']}-pooling",
            model["aux"],
            *(["lora"] if model.get("lora") else []),
        ],
        widget=[{"text": text} for text in WIDGET],
        model_name=repo_id.split("/")[-1],
        eval_results=results,
    )


def _base(encoder: str) -> str | None:
    """The model of the Hub that an encoder is, if it is one."""
    return PACKED[encoder].source if encoder in PACKED else hub_id(encoder)


def draw_pictures(record: dict[str, Any], run_dir: Path) -> None:
    """The `pictures` of the run's test set, beside its record; a map of several labels a row is coloured by one."""
    models, _ = group_runs([record | {"directory": run_dir}])
    sheet = Analysis(models, [], read_predictions(models), map_label=_map_label(record))
    for name, draw in pictures(record).items():
        draw(sheet, run_dir / name)


def _map_label(record: dict[str, Any]) -> str | None:
    """The label that the map of a record's run is coloured by; None where rows have one label each."""
    models, _ = group_runs([record])
    return label_of_maps(models[0])


def _intervals(record: dict[str, Any], run_dir: Path | None) -> dict[str, tuple[float, float]]:
    """95 % intervals of accuracy and means of F1 over the test rows; none without predictions."""
    if run_dir is None:
        return {}
    try:
        arrays = load_predictions(record | {"directory": run_dir})
    except UserError:
        return {}
    if gives_several(record):
        return label_set_intervals(decide(sigmoid(arrays["logits"]), arrays["thresholds"]), arrays["labels"] > 0)
    predicted = arrays["logits"].argmax(-1)
    return {metric: bootstrap_interval(predicted, arrays["labels"], metric=metric) for metric in METRICS}


def _against_baseline(run_dir: Path | None) -> list[str]:
    """What the study of a run says of the linear baseline; nothing for a run that belongs to none."""
    if run_dir is None or not (run_dir.parent / STUDY_FILE).exists():
        return []
    try:
        return baseline_sentences(Analysis.read(run_dir.parent), name=markdown_name, strong="**")
    except UserError:  # a study whose runs do not belong together
        return []


def _over_seeds(seeds: Sequence[dict[str, Any]]) -> dict[str, Score | int] | None:
    if len(seeds) < 2:
        return None
    metrics = ("micro_f1", "macro_f1") if gives_several(seeds[0]) else METRICS
    return {"runs": len(seeds)} | {metric: Score.over([run["test"][metric] for run in seeds]) for metric in metrics}


def _source(record: dict[str, Any]) -> str:
    """The data's name without the folders that hold it on somebody's disk."""
    source = record["data"]["source"]
    if source == "sample":
        return "the sample of emo_hf"
    sources = ((record.get("arguments") or {}).get("data") or {}).get("data")
    several = sources if isinstance(sources, list) and len(sources) > 1 else [source]
    return hub_id(source) or ", ".join(Path(str(name)).name for name in several)
