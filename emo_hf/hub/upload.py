"""Access, upload and collections, each failure said in one line."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from emo_hf.errors import UserError, first_line
from emo_hf.hub.adapter import NAMES, PUSHES, WHOLE, adapter_repository, check_adapter
from emo_hf.hub.card import draw_pictures, model_card
from emo_hf.report.grouping import group_runs
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import ADAPTER_FOLDER, TEXTS_FILE, read_records

# The HTTP client's own base error (no network, time-out), whichever library the Hub's client is built on.
_HTTP_ERROR: Any = HfHubHTTPError.__bases__[0]
FAILURES: tuple[type[Exception], ...] = (_HTTP_ERROR, LocalTokenNotFoundError, OSError)
# What a reader needs, and nothing else: no optimizer state, no pickles, no caches.
UPLOADED = ["README.md", "*.json", "*.safetensors", "*.py", "*.png", "vocab.txt", "*.model", "merges.txt", TEXTS_FILE]
LEFT_OUT = ["checkpoint-*", f"{ADAPTER_FOLDER}/*", "progress.json", "aux_loss.safetensors", ".*"]
_MEANINGS = {
    401: "the token is not valid",
    403: "the token has no right to write there",
    404: "there is no such repository, or the token may not see it",
    409: "the Hub reports a conflict",
    413: "a file is too large",
    429: "too many requests, wait a while",
}


def check_access(
    repo_id: str | None, *, private: bool | None = None, default_name: str, kind: Literal["model", "space"] = "model"
) -> str:
    """Log-in and repository, before hours of training: creates the repository if it is missing, returns its full id.

    The token comes from the environment (`HF_TOKEN`) or from `hf auth login`, never from an argument. A `space` is
    made for Gradio.

    Raises:
        UserError: not logged in, no right to write, a malformed id, or no network.
    """
    api = HfApi()
    wanted = repo_id or default_name
    try:
        user = api.whoami()["name"]
        full = wanted if "/" in wanted else f"{user}/{wanted}"
        sdk = "gradio" if kind == "space" else None
        full = api.create_repo(full, repo_type=kind, space_sdk=sdk, private=private, exist_ok=True).repo_id
        api.auth_check(full, repo_type=kind, write=True)
        return full
    except HFValidationError as error:
        raise UserError(f"--hub_{kind}_id {wanted!r}: {first_line(error)}") from error
    except FAILURES as error:
        way_out = (
            "log in with `hf auth login` or set HF_TOKEN to a token that may write there"
            if isinstance(error, LocalTokenNotFoundError) or _status(error) in (401, 403, 404)
            else "check the network; what is trained can be pushed later"
        )
        raise UserError(f"the Hub can't be used as {wanted!r}: {reason(error)}; {way_out}") from error


def push(
    run_dir: Path,
    record: dict[str, Any],
    repo_id: str,
    *,
    seeds: Sequence[dict[str, Any]] = (),
    lora: str = PUSHES[0],
) -> str:
    """Upload a completed run: model, tokenizer, code, card, pictures and record; returns the address.

    Files that the repository has already are not sent again, and nothing at all is committed where nothing changed,
    so a push that was cut off goes on when it is repeated. `seeds` are the records of the same model's other runs,
    for the card. Of a run that trained adapters, `lora` says whether "merged" weights are uploaded or the "adapter"
    alone; what a push of the other kind has left there is removed, for no library loads a mixture of both.

    Raises:
        UserError: if the upload fails; everything is still in `run_dir`. As `check_adapter`.
    """
    alone = lora == "adapter"
    adapter = check_adapter(run_dir, record) if alone else None
    others = ([WHOLE] if alone else list(NAMES)) if record["model"].get("lora") else None
    draw_pictures(record, run_dir)
    card = model_card(record, repo_id, run_dir, seeds=seeds, adapter=adapter).encode()
    try:
        with adapter_repository(run_dir) if alone else contextlib.nullcontext(run_dir) as folder:
            write_whole(folder / "README.md", card)
            done = HfApi().upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                allow_patterns=UPLOADED,
                ignore_patterns=LEFT_OUT,
                delete_patterns=others,
                commit_message=record["run_id"],
            )
    except FAILURES as error:
        words = ["python", "recipes/push.py", str(run_dir), "--hub_model_id", repo_id]
        again = shlex.join([*words, *(["--lora_push", lora] if alone else [])])
        raise UserError(
            f"the push to {repo_id} failed: {reason(error)}; the model is safe in {run_dir}; try again: {again}"
        ) from error
    return str(done.repo_url) if isinstance(done, CommitInfo) else str(done)


def chosen_runs(study_dir: Path, which: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The run to push of the `best` or of `all` models of a study, each with the records of all its seeds.

    The best model has the best mean macro-F1 on the validation split, so that the test split has no part in it.

    Raises:
        UserError: if the folder holds no completed run of a model.
    """
    models, _ = group_runs(read_records(study_dir)) if study_dir.is_dir() else ([], [])
    if not models:
        raise UserError(f"{study_dir} holds no completed run; give the folder of a run (with record.json) or a study")
    if which == "best":
        validation = [[run["best"].get("validation_macro_f1", 0.0) for run in model.runs] for model in models]
        models = [max(zip(validation, models, strict=True), key=lambda pair: sum(pair[0]) / len(pair[0]))[1]]
    return [(model.median_run(), model.runs) for model in models]


def collect(title: str, repo_ids: Sequence[str], *, private: bool = False) -> str:
    """Put models into a collection of the user, made if it is missing; returns its address.

    Raises:
        UserError: if the Hub refuses.
    """
    api = HfApi()
    try:
        collection = api.create_collection(title, private=private, exists_ok=True)
        for repo_id in repo_ids:
            api.add_collection_item(collection.slug, repo_id, "model", exists_ok=True)
    except FAILURES as error:
        raise UserError(f"the models are pushed, but not the collection {title!r}: {reason(error)}") from error
    return collection.url


def reason(error: BaseException) -> str:
    """What went wrong on the way to the Hub, in a few words."""
    if isinstance(error, LocalTokenNotFoundError):
        return "nobody is logged in"
    status = _status(error)
    if status is None:
        said = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {said}" if said else type(error).__name__
    if status >= 500:
        return f"the Hub answers {status}, it may be down for a moment"
    return f"{_MEANINGS.get(status, 'the Hub refuses')} ({status})"


def _status(error: BaseException) -> int | None:
    """What the Hub answered, if it did."""
    return getattr(getattr(error, "response", None), "status_code", None)
