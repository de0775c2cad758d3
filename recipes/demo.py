"""Show a model in the browser: probabilities of a sentence, its nearest training sentences, and its place among them.

    pip install -e '.[demo]'
    python recipes/demo.py runs/train/tiny-bert_mean_triplet_seed42
    python recipes/demo.py me/my-emotions --train_data comments.csv
    python recipes/demo.py me/my-emotions --push_space --hub_space_id my-demo    # the same page as a Gradio Space

MODEL is the folder of a run or a Hub id. Its training sentences come from the data that its record.json names, or from
--train_data (whatever train.py takes), at most 5,000 with the labels in their proportion; they stay in memory. A Space
shows none of them, but for a model of the bundled sample, unless --push_sentences says that they may be public.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command

if TYPE_CHECKING:
    import gradio as gr

    from emo_hf.inference.demo import Demo

HERE = Path(__file__).parent
SETTINGS = HERE / "demo.json"  # stands beside this file in a Space, and nowhere else
MOST_BARS = 6
READING = (
    "text_column", "label_column", "header", "sheet", "label_names", "label_map", "on_bad_rows", "task",
    "several_labels",
)  # fmt: skip
EXAMPLES = ("드디어 합격했어!", "내일 발표라 잠이 안 와.", "할머니 사진을 보니까 눈물이 났어.")
FONTS = ["Pretendard", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR", "NanumGothic",
         "system-ui", "sans-serif"]  # fmt: skip


def page(demo: Demo, name: str) -> gr.Blocks:
    """The Gradio page of a demo."""
    import gradio as gr

    from emo_hf.inference.demo import markup

    words = demo.words
    with gr.Blocks(title=f"emo_hf: {name}", analytics_enabled=False) as blocks:
        gr.HTML(f'<div class="emo"><h1>{markup(words["title"])}</h1><p>{markup(name)}</p></div>')
        box = gr.Textbox(label=words["sentence"], placeholder=words["type"], max_lines=4, submit_btn=words["go"])
        label = (
            gr.Label(label=words["probabilities"], num_top_classes=MOST_BARS, render=False)
            if demo.predictor.thresholds is None
            else gr.HTML(render=False)  # with the threshold of each label
        )
        notes, picture = gr.HTML(render=False), gr.HTML(demo.drawn(), render=False)
        gr.Examples(
            [[text] for text in EXAMPLES], box, [label, notes, picture], demo.answer,
            label=words["examples"], cache_examples=False, run_on_click=True,
        )  # fmt: skip
        with gr.Row():
            with gr.Column():
                label.render()
                notes.render()
            with gr.Column():
                picture.render()
        box.submit(demo.answer, box, [label, notes, picture], api_name="predict")
    return blocks


def show(arguments: argparse.Namespace) -> None:
    """Load everything, say what is missing, and serve the page until it is stopped."""
    import gradio as gr

    from emo_hf.inference.demo import STYLE, Demo
    from emo_hf.inference.neighbours import Neighbours
    from emo_hf.inference.predictor import Predictor

    predictor = Predictor(arguments.model)
    neighbours, why = None, ""
    try:
        texts, labels = training_sentences(
            arguments.model,
            predictor.labels,
            train_data=arguments.train_data,
            reading=reading_of(arguments),
            settings=arguments.settings,
        )
        print(f"embedding {len(texts):,} training sentences", flush=True)
        neighbours = Neighbours.embedded(predictor, texts, labels)
    except UserError as error:
        why = str(error)
        print(f"without neighbours: {why}", file=sys.stderr)
    name = Path(arguments.model).name if Path(arguments.model).is_dir() else arguments.model
    blocks = page(Demo(predictor, neighbours, why=why, lang=arguments.lang), name)
    if arguments.share and neighbours:
        print("who has the public link can read training sentences")
    theme = gr.themes.Default(primary_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"])
    try:
        blocks.launch(
            server_port=arguments.port, share=arguments.share or None, theme=theme, css=STYLE, footer_links=[]
        )
    except OSError as error:
        said = f"port {arguments.port} is taken" if arguments.port else str(error).splitlines()[0]
        raise UserError(f"the page can't be served: {said}; give another --port") from error


def training_sentences(
    model: str,
    labels: Sequence[str],
    *,
    train_data: Sequence[str] | None,
    reading: dict[str, Any],
    settings: dict[str, Any],
) -> tuple[list[str], list[Any]]:
    """Texts, at most `MOST_SENTENCES`, and class indices of what a model was trained on, or of `train_data`.

    Where a text may have several labels, they are lists of indices.

    Args:
        model: folder of a run, or a Hub id.
        labels: of the model.
        train_data: sources to read instead of the record's.
        reading: how `train_data` are to be read, where not as the run's own were.
        settings: of the Space that this runs in; empty anywhere else.

    Raises:
        UserError: if there are none to show, with the reason.
    """
    from emo_hf.inference.neighbours import other_data, stratified, training_data

    if settings.get("sentences"):
        content = json.loads((HERE / "sentences.json").read_text(encoding="utf-8"))
        return content["text"], content["label"]
    if train_data:
        data = other_data(record_of(model), train_data, labels, reading)
    else:
        record = record_of(model)
        # What a Space shows is public: data that it could load from elsewhere may not be.
        if settings and (record or {}).get("data", {}).get("source") != "sample":
            raise UserError("the training sentences of this model are not published")
        data = training_data(record)
        if data.fingerprint != record["data"]["fingerprint"]:
            print(f"{record['data']['source']} has changed since the training", file=sys.stderr)
        if list(data.labels) != list(labels):
            raise UserError("the data have other labels than the model now")
    train = data.splits["train"]
    return stratified(train["text"][:], train["label"][:])


def reading_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of the arguments that say how `--train_data` is read, those that are given."""
    return {name: value for name in READING if (value := getattr(arguments, name)) is not None}


def record_of(model: str) -> dict[str, Any] | None:
    """The record in a run's folder or beside a model on the Hub; None without one."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    from emo_hf.storage.record import read_record

    if Path(model).is_dir():
        return read_record(Path(model))
    try:
        return read_record(Path(HfApi().hf_hub_download(model, "record.json")).parent)
    except (EntryNotFoundError, HfHubHTTPError, OSError):
        return None


def push(arguments: argparse.Namespace) -> None:
    """Make the Space, once token, model and right are checked."""
    from emo_hf.hub.spaces import push_space, pushed_model
    from emo_hf.hub.upload import check_access

    folder = Path(arguments.model).is_dir()
    name = (record_of(arguments.model) or {}).get("run_id") if folder else None
    model, private = pushed_model(arguments.hub_model_id or name or arguments.model)
    sentences = None
    if arguments.push_sentences:
        source = arguments.model if folder else model
        labels = (record_of(source) or {}).get("data", {}).get("labels")
        if labels is None:
            raise UserError(f"--push_sentences needs the labels of {source}, but no record.json of it can be read")
        sentences = training_sentences(
            source, labels, train_data=arguments.train_data, reading=reading_of(arguments), settings={}
        )
    space = check_access(arguments.hub_space_id, default_name=f"{model.split('/')[-1]}-demo", kind="space")
    print(f"pushed to {push_space(Path(__file__), space, model, lang=arguments.lang, sentences=sentences)}")
    print(f"{len(sentences[0]):,} training sentences are public now" if sentences else "no training sentences pushed")
    if private:
        print("the model is private: give the Space a secret HF_TOKEN that may read it")


@command()
def main(argv: Sequence[str]) -> None:
    """Serve the page, or make the Space."""
    settings = json.loads(SETTINGS.read_text(encoding="utf-8")) if SETTINGS.exists() else {}
    parser = CommandParser(__doc__)
    parser.add_argument("model", nargs="?" if settings else None, default=settings.get("model"),
                        help="folder of a run, or a Hub id")  # fmt: skip
    parser.add_argument("--train_data", nargs="+", help="data to show instead of those of the run's record")
    for name in READING:
        count = "+" if name == "label_map" else None
        parser.add_argument(f"--{name}", nargs=count, help="of --train_data, as for train.py; default: as the run's")
    parser.add_argument("--lang", choices=["en", "ko"], default=settings.get("lang", "en"), help="of the page")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    parser.add_argument("--share", action="store_true", help="a public link for a week, through Gradio's servers")
    parser.add_argument("--push_space", action="store_true", help="make a Space instead of a page on this machine")
    parser.add_argument("--hub_space_id", help="the Space, with or without owner; default: the model's name and -demo")
    parser.add_argument("--hub_model_id", help="where the run in a folder was pushed; default: its name")
    parser.add_argument("--push_sentences", action="store_true", help="publish training sentences in the Space")
    arguments = parser.parse_words(argv)
    arguments.settings = settings
    if (reading := reading_of(arguments)) and not arguments.train_data:
        raise UserError(f"--{next(iter(reading))} is for --train_data; give both, or leave it out")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the demo needs Gradio: pip install 'gradio>=6'")
    from emo_hf.inference.backends import check_model_folder
    from emo_hf.training.progress import quiet_libraries  # only now: --help has no use for torch

    quiet_libraries()
    check_model_folder(arguments.model)
    (push if arguments.push_space else show)(arguments)


if __name__ == "__main__":
    sys.exit(main())
