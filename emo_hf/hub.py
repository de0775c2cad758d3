"""From a run's folder to the Hub: the check before training, the card, the push."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from emo_hf.encoders import BUNDLED
from emo_hf.errors import UserError
from emo_hf.files import write_whole

# The HTTP client's own base error (no network, time-out), whichever library the Hub's client is built on.
_HTTP_ERROR = HfHubHTTPError.__bases__[0]
LEFT_OUT = ["checkpoint-*", "training_args.bin", "progress.json", "*.tmp", "optimizer.pt", "predictions.npz"]


def check_access(repo_id: str | None, *, private: bool | None = None, default_name: str) -> str:
    """Log-in and repository, before hours of training: creates the repository if it is missing, returns its full id.

    The token comes from the environment (`HF_TOKEN`) or from `hf auth login`, never from an argument.

    Raises:
        UserError: not logged in, no right to write, a malformed id, or no network.
    """
    api = HfApi()
    wanted = repo_id or default_name
    try:
        user = api.whoami()["name"]
        full = wanted if "/" in wanted else f"{user}/{wanted}"
        return api.create_repo(full, private=private, exist_ok=True).repo_id
    except HFValidationError as error:
        raise UserError(f"--hub_model_id {wanted!r}: {str(error).splitlines()[0]}") from error
    except (_HTTP_ERROR, OSError) as error:
        raise UserError(
            f"the Hub can't be used as {wanted!r} ({str(error).strip().splitlines()[0]}); log in with "
            "`hf auth login` or set HF_TOKEN to a token that may write there, or leave --push_to_hub out"
        ) from error


def push(run_dir: Path, record: dict[str, Any], repo_id: str) -> str:
    """Upload a completed run: model, tokenizer, code, card and record, without optimizer state; returns its address.

    Raises:
        UserError: if the upload fails; everything is still in `run_dir`.
    """
    write_whole(run_dir / "README.md", model_card(record, repo_id).encode())
    try:
        done = HfApi().upload_folder(
            repo_id=repo_id, folder_path=run_dir, ignore_patterns=LEFT_OUT, commit_message=f"{record['run_id']}"
        )
    except (_HTTP_ERROR, OSError) as error:
        raise UserError(
            f"the push to {repo_id} failed ({str(error).strip().splitlines()[0]}); the model is safe in {run_dir}; "
            f"try again: hf upload {repo_id} {run_dir}"
        ) from error
    return done.repo_url if hasattr(done, "repo_url") else str(done)


def model_card(record: dict[str, Any], repo_id: str) -> str:
    """The card of a run, from its record alone."""
    model, test, data = record["model"], record["test"], record["data"]
    bundled = model["encoder"] in BUNDLED
    is_hub_id = not bundled and model["encoder"].count("/") == 1 and not Path(model["encoder"]).exists()
    card_data = ModelCardData(
        language="ko",
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=model["encoder"] if is_hub_id else None,
        tags=["emotion-classification", "metric-learning", f"pooling-{model['pooling']}", f"aux-{model['aux']}"],
        model_name=repo_id.split("/")[-1],
        eval_results=[
            EvalResult(
                task_type="text-classification",
                dataset_type=str(data["source"]),
                dataset_name=str(data["source"]),
                dataset_split="test",
                metric_type=metric,
                metric_value=round(test[key], 4),
            )
            for metric, key in (("accuracy", "accuracy"), ("f1", "macro_f1"))
        ],
    )
    classes = "\n".join(
        f"| {label} | {s['precision']:.3f} | {s['recall']:.3f} | {s['f1']:.3f} | {s['support']} |"
        for label, s in test["per_class"].items()
    )
    counts = ", ".join(f"{split} {sum(rows.values())}" for split, rows in data["counts"].items())
    loss = "cross-entropy" if model["aux"] == "none" else f"cross-entropy + {model['aux']} loss"
    limits = (
        f"`{model['encoder']}` is a small encoder that travels with emo_hf; it is no KLUE model.\n\n"
        if bundled
        else ""
    )
    text = f"""---
{card_data.to_yaml()}
---

# {repo_id.split("/")[-1]}

Emotion of one Korean utterance: {", ".join(data["labels"])}. Encoder {model["encoder"]}, {model["pooling"]} pooling,
{loss}, seed {record["seed"]}; trained with emo_hf.

{limits}## Results on the test split ({sum(data["counts"]["test"].values())} rows)

Accuracy {test["accuracy"]:.3f}, macro-F1 {test["macro_f1"]:.3f}.

| class | precision | recall | F1 | rows |
|---|---|---|---|---|
{classes}

## Data

{data["source"]} ({counts}); fingerprint `{data["fingerprint"][:16]}`.

## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", model="{repo_id}", trust_remote_code=True)
classify("드디어 합격했어!")
```

All arguments, versions and the training history are in `record.json`.
"""
    return str(ModelCard(text))
