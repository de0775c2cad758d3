"""What a saved model says where emo_hf is not installed: a process of its own, with the code that travels along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CODE = (
    "import json, sys\nsys.modules['emo_hf'] = None\n"
    "from transformers import pipeline\n"
    "use = pipeline('text-classification', '.', trust_remote_code=True, top_k=None)\n"
    "print(json.dumps([{s['label']: s['score'] for s in row} for row in use(json.loads(sys.argv[1]))]))"
)


def pipeline_elsewhere(folder: Path, texts: list[str]) -> list[dict[str, float]]:
    """The probabilities of each label that a pipeline of transformers gives to texts."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(texts)],
        cwd=folder,
        env=environment | {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(folder / "modules")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found
