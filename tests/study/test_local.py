"""A process of many runs gives back what each of them left."""

from __future__ import annotations

import gc
import weakref

from emo_hf.study.local import give_memory_back


class Run:
    """What only a collection frees."""

    def __init__(self) -> None:
        self.trainer = self


def test_every_run_is_freed_but_what_was_imported_is_walked_through_once() -> None:
    gc.unfreeze()
    give_memory_back()  # after the first run
    imported = gc.get_freeze_count()
    assert imported > 10 * len(gc.get_objects())
    left, results = weakref.ref(Run()), Run()
    give_memory_back()
    assert left() is None
    assert gc.get_freeze_count() <= imported
    left = weakref.ref(results)
    del results
    give_memory_back()
    assert left() is None
