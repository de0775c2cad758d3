"""Export a trained model for other libraries, checked against the model itself.

    python recipes/export.py MODEL --to transformers             # stock classes, no custom code
    python recipes/export.py MODEL --to sentence-transformers    # the embedding
    python recipes/export.py MODEL --to onnx                     # logits and embeddings, by onnxruntime
    python recipes/export.py MODEL --to onnx-int8                # smaller and faster; its loss is measured
    python recipes/export.py MODEL --to static                   # of --encoder static: tables, by numpy alone

MODEL is the folder of a run or a Hub id. The folder that is written has a README.md that says how it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from emo_hf.arguments.words import CommandParser
from emo_hf.exit_codes import command
from emo_hf.storage.files import said_plainly


@command()
def main(argv: Sequence[str]) -> None:
    """Write the export, and show how it is used."""
    parser = CommandParser(__doc__)
    parser.add_argument("model", help="folder of a run, or a Hub id")
    parser.add_argument("--to", required=True, help="transformers, sentence-transformers, onnx, onnx-int8 or static")
    parser.add_argument("--output", help="folder to write; runs/export/NAME_FORMAT if left out")
    arguments = parser.parse_words(argv)
    # Only now: --help has no use for torch.
    from emo_hf.export.export import export
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()
    with said_plainly(arguments.output or "runs/export"):
        folder = export(arguments.model, arguments.to, arguments.output, progress=say)
    print((folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2].strip())
    print(f"\nwritten to {folder}")


def say(step: str) -> None:
    """What is being done, beside the result on standard output."""
    print(f"{step} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
