"""The pages that a reader meets, README and guides, and what stands in them."""

from __future__ import annotations

import re

from places import ROOT

GUIDES = ROOT / "recipes" / "guides"
NOTEBOOK = GUIDES / "study.ipynb"
PAGES = [
    ROOT / "README.md",
    *sorted(GUIDES.glob("*.md")),
    *sorted((ROOT / "recipes" / "results").glob("*.md")),
    *sorted((ROOT / ".github").glob("*.md")),
    ROOT / "emo_hf" / "data" / "sample" / "README.md",
    ROOT / "emo_hf" / "encoders" / "README.md",
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
BLOCKS = [
    (name, kind, block)
    for name, text in TEXTS.items()
    for kind, block in re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)
]


def commands_of(text: str) -> list[str]:
    """The commands of a page: lines of its bash blocks, one a `&&` or pipe, and those that stand in a sentence."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line := line.split("#")[0].strip():
                found += [part.strip() for part in re.split(r"&&|\|", line)]
    return found + re.findall(r"`((?:python|accelerate|make|torchrun|pip) [^`]+)`", text)


COMMANDS = sorted({command for text in TEXTS.values() for command in commands_of(text)})
PYTHON = [(name, block) for name, kind, block in BLOCKS if kind == "python"]
