"""Makes transformers' Auto classes know our model as soon as both packages are imported, in whichever order.

Then a checkpoint loads with the installed code, without `trust_remote_code`. Neither package is imported for it before
somebody needs it: `import emo_hf` stays cheap, and reports need no torch.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# A module of transformers -> the one of ours that registers itself with what it defines.
_REGISTER = {
    "transformers.models.auto.configuration_auto": "emo_hf.models.configuration",
    "transformers.models.auto.modeling_auto": "emo_hf.models.modeling",
}


class _AfterAutoClasses(MetaPathFinder):
    """Finds the Auto classes as anybody would, and lets ours be imported after them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _REGISTER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register(fullname)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]  # of this one object
        return spec


def install() -> None:
    """Register now what is imported already, and the rest when it comes."""
    for name in _REGISTER:
        if name in sys.modules:
            _register(name)
    if not any(isinstance(finder, _AfterAutoClasses) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterAutoClasses())


def _register(name: str) -> None:
    with contextlib.suppress(ImportError):  # without torch there is no model to load either
        importlib.import_module(_REGISTER[name])
