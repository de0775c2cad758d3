"""A Gradio Space that shows a pushed model: its app, the package beside it, and nothing that is private."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, HfApi, SpaceCardData
from huggingface_hub.errors import HFValidationError

from emo_hf.errors import UserError, first_line
from emo_hf.escaping import markdown_name
from emo_hf.hub.upload import FAILURES, reason

PACKAGE = Path(__file__).parents[1]
APP_FILE = "app.py"
SETTINGS_FILE = "demo.json"  # which model the app shows, and how
SENTENCES_FILE = "sentences.json"  # only where training sentences were asked for
_CARD = """---
{front}
---

# {title}

Type a Korean sentence and see which emotion the model `{model}` finds in it, and which training sentences lie
nearest to it.

{sentences} What is typed is not stored by the app.

`app.py` is `recipes/demo.py` of emo_hf; the folder `emo_hf` is the package itself, which is on no package index,
without its bundled encoders: the model brings its own.
"""


def pushed_model(model: str) -> tuple[str, bool]:
    """The full id of a model on the Hub, and whether it is private; a name without owner is one of the user's own.

    Raises:
        UserError: not logged in, no such model, or no network.
    """
    api = HfApi()
    try:
        user = api.whoami()["name"]
        found = api.model_info(model if "/" in model else f"{user}/{model}")
    except HFValidationError as error:
        raise UserError(f"--hub_model_id {model!r}: {first_line(error)}") from error
    except FAILURES as error:
        raise UserError(
            f"a Space shows a model that is on the Hub, and {model!r} can't be reached there: {reason(error)}; log in "
            "with `hf auth login` or set HF_TOKEN, push the model first: python recipes/push.py RUN --hub_model_id "
            "NAME, or name it with --hub_model_id"
        ) from error
    return found.id, bool(found.private)


def push_space(
    app: Path, repo_id: str, model: str, *, lang: str = "en", sentences: tuple[Sequence[str], Sequence[Any]] | None
) -> str:
    """Upload the app that shows `model`, as the one commit of a change; returns the address.

    The package travels with it, as no package index has it; the requirements are its own. An earlier push's training
    sentences leave the Space with a push that has none (its history keeps them).

    Args:
        app: the file that becomes app.py.
        repo_id: the Space, as `check_access` returns it.
        model: id of the model on the Hub.
        lang: of the app.
        sentences: texts and class indices, or lists of them, to publish, or None.

    Raises:
        UserError: if emo_hf or Gradio is not installed as a package, or the upload fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_space(Path(folder), app, model, lang=lang, sentences=sentences)
        try:
            done = HfApi().upload_folder(
                repo_id=repo_id,
                repo_type="space",
                folder_path=folder,
                delete_patterns=["emo_hf/*", SENTENCES_FILE],
                commit_message=f"demo of {model}",
            )
        except FAILURES as error:
            raise UserError(f"the push to the Space {repo_id} failed: {reason(error)}; try again") from error
    return str(done.repo_url) if isinstance(done, CommitInfo) else str(done)


def write_space(
    folder: Path, app: Path, model: str, *, lang: str, sentences: tuple[Sequence[str], Sequence[Any]] | None
) -> None:
    """Write all files of the Space into a folder; arguments and errors as in `push_space`."""
    name = model.split("/")[-1]
    front = SpaceCardData(
        title=name,
        emoji="💬",
        colorFrom="blue",
        colorTo="green",
        sdk="gradio",
        sdk_version=metadata.version("gradio"),
        python_version=".".join(platform.python_version_tuple()[:2]),
        app_file=APP_FILE,
        models=[model],
    )
    said = (
        f"It holds {len(sentences[0]):,} training sentences, published on request."
        if sentences
        else "No training sentences were uploaded; a model of emo_hf's own CC0 sample shows those of the sample."
    )
    title = markdown_name(name)
    settings = {"model": model, "lang": lang, "sentences": sentences is not None}
    written = {
        "README.md": _CARD.format(front=front.to_yaml(), title=title, model=model, sentences=said),
        "requirements.txt": "\n".join(requirements()) + "\n",
        SETTINGS_FILE: json.dumps(settings, indent=2) + "\n",
    }
    if sentences:
        texts, labels = sentences
        content = {"text": list(texts), "label": list(labels)}
        written[SENTENCES_FILE] = json.dumps(content, ensure_ascii=False) + "\n"
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copyfile(app, folder / APP_FILE)
    for path in package_files():
        target = folder / PACKAGE.name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / path, target)


def package_files() -> list[Path]:
    """The package's files, relative to it: code, templates and the sample, without the weights of the encoders."""
    files = (path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*")) if path.is_file())
    return [
        path
        for path in files
        if "__pycache__" not in path.parts and not (path.parts[0] == "encoders" and len(path.parts) > 2)
    ]


def requirements() -> list[str]:
    """What emo_hf needs, without its extras, as pip takes it.

    Raises:
        UserError: if emo_hf runs from a folder that was never installed.
    """
    try:
        return [line for line in metadata.requires("emo-hf") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        raise UserError("the Space needs emo_hf's requirements; install it first: pip install -e '.[demo]'") from None
