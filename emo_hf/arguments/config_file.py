"""A YAML file of settings, read as plain data: no tags, no aliases, no key twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from emo_hf.errors import UserError, first_line

_MOST_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which makes no objects, without what a flat file has no use for.

    As in YAML 1.2, only true and false are truth values: `eval_strategy: no` means "no".
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):  # a few lines of them stand for gigabytes
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"alias *{event.anchor}; write it out", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if (name := str(key.value)) in seen:  # PyYAML itself would take the last
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:bool"]
    for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?i)^(true|false)$"), list("tTfF"))


def read_config(path: str) -> dict[str, Any]:
    """The settings of a YAML file, a flat mapping; raises `UserError` if it can't be read."""
    try:
        if (size := Path(path).stat().st_size) > _MOST_BYTES:
            raise UserError(
                f"--config {path}: {size:,} bytes are no file of settings; at most {_MOST_BYTES:,} are read"
            )
        text = Path(path).read_text(encoding="utf-8-sig")
        content = yaml.load(text, Loader=_Loader)
    except UserError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--config {path}: cannot be read ({error.__class__.__name__}); give a UTF-8 YAML file"
        ) from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise UserError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', None) or 'unreadable'})") from None
    except (
        ValueError,
        RecursionError,
        OverflowError,
        TypeError,
    ) as error:  # the 32nd of a month, ten thousand brackets
        raise UserError(f"{path}: not valid YAML ({first_line(error)})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}; it must be a mapping of argument names to values")
    return {str(key): value for key, value in content.items()}
