"""Export a trained model for other libraries, checked against the model itself.

    python recipes/export.py MODEL --to transformers             # stock classes, no custom code
    python recipes/export.py MODEL --to sentence-transformers    # the embedding
    python recipes/export.py MODEL --to onnx                     # logits and embeddings, by onnxruntime
    python recipes/export.py MODEL --to onnx-int8                # smaller and faster; its loss is measured

MODEL is the folder of a run or a Hub id. The folder that is written has a README.md that says how it is used.
"""

from __future__ import annotations

import argparse
import sys

from emo_hf.errors import UserError
from emo_hf.redaction import start_logging
from emo_hf.storage.files import said_plainly
from emo_hf.training.progress import quiet_libraries


def main(argv: list[str] | None = None) -> int:
    """Run the recipe; 0 if all is well, 2 for a mistake in the input, which is said in one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a run, or a Hub id")
    parser.add_argument("--to", required=True, help="transformers, sentence-transformers, onnx or onnx-int8")
    parser.add_argument("--output", help="folder to write; runs/export/NAME_FORMAT if left out")
    arguments = parser.parse_args(argv)
    quiet_libraries()
    try:
        from emo_hf.export.export import export

        with said_plainly(arguments.output or "runs/export"):
            folder = export(arguments.model, arguments.to, arguments.output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print((folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2].strip())
    print(f"\nwritten to {folder}")
    return 0


if __name__ == "__main__":
    start_logging()
    sys.exit(main())
