"""AI Hub's emotional dialogue corpus as downloaded: a folder or a zip, with zips in it, in any of its three shapes."""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emo_hf.data.sources.archives import Unpacked, open_archive, read_member
from emo_hf.data.sources.readers import read_bytes, read_tables, suffix_of
from emo_hf.data.sources.tables import FOUND_OUT, Layout, Table
from emo_hf.errors import UserError
from emo_hf.storage.record import holds_results

logger = logging.getLogger(__name__)

# AI Hub keeps its real test part to itself and calls the other one Validation: here it is the test set.
_PARTS = {
    "train": re.compile("train|학습|훈련"),
    "test": re.compile("valid|검증|(?<![a-z])(val|dev|test)(?![a-z])"),
}
# The same dialogues come as labels (JSON) and as source (XLSX), and people add exports: the first one found is read.
_SUFFIXES = (".json", ".xlsx", ".csv", ".tsv", ".jsonl", ".parquet")
_DEEPEST_ZIP = 4


@dataclass(frozen=True)
class _Member:
    """A file of the release, read only when it is asked for."""

    name: str
    read: Callable[[], bytes]

    @property
    def part(self) -> str | None:
        for component in reversed(self.name.lower().split("/")):  # the innermost name knows best
            for part, pattern in _PARTS.items():
                if pattern.search(component):
                    return part
        return None


def is_release(table: Table) -> bool:
    """Say whether a table has the columns of AI Hub's corpus."""
    return {"사람문장1", "감정_대분류"} <= set(table.frame.columns)


def read_release(path: Path, layout: Layout = FOUND_OUT) -> list[tuple[str, Table]]:
    """Read a release; return (split, table) pairs with the splits "train" and "test".

    Raises:
        UserError: no training part, nothing that looks like the corpus, a broken or encrypted zip.
    """
    members = list(
        _walk_folder(path, "", set())
        if path.is_dir()
        else _walk_zip(unicodedata.normalize("NFC", path.name), path, 1, Unpacked())
    )
    known = [member for member in members if member.part]
    if known and len(known) < len(members):
        unread = ", ".join(member.name for member in members if member not in known)
        logger.warning("%s: not read, as neither training nor validation stands in the name: %s", path, unread)
    tables = []
    for part in _PARTS:
        # Without any named part (one extracted file, renamed) all is training.
        named = [member for member in known if member.part == part]
        mine = named if known else members if part == "train" else []
        tables += [(part, table) for table in _read_part(mine, layout)]
    splits = {split for split, _ in tables}
    if not splits:
        names = ", ".join(member.name for member in members[:5]) or "nothing readable"
        raise UserError(
            f"{path}: neither files named train, validation, test (.csv .tsv .xlsx .json .jsonl .parquet) nor "
            f"AI Hub's dialogues (columns 사람문장1, 감정_대분류, or its JSON); found {names}."
        )
    if "train" not in splits:
        raise UserError(f"{path}: AI Hub's validation part is there, its training part is not; put it beside it.")
    return tables


def _read_part(members: list[_Member], layout: Layout) -> list[Table]:
    for suffix in _SUFFIXES:
        seen: set[str] = set()
        tables = []
        for member in members:
            if suffix_of(member.name) != suffix:
                continue
            data = member.read()
            digest = hashlib.sha256(data).hexdigest()
            if digest in seen:  # the zip and what was extracted from it
                continue
            seen.add(digest)
            tables += [table for table in read_tables(member.name, data, layout) if is_release(table)]
        if tables:
            unread = sorted({suffix_of(member.name) for member in members} - {suffix})
            if unread:
                logger.info("AI Hub release: %s files are read, %s are not", suffix, ", ".join(unread))
            return tables
    return []


def _walk_folder(folder: Path, prefix: str, seen: set[Path]) -> Iterator[_Member]:
    if folder.resolve() in seen:  # links may lead back up, and would be followed for ever
        return
    seen.add(folder.resolve())
    for path in sorted(folder.iterdir()):
        name = prefix + unicodedata.normalize("NFC", path.name)  # names from macOS are NFD
        if _is_hidden(name):
            continue
        if path.is_dir():
            if not holds_results(path):
                yield from _walk_folder(path, name + "/", seen)
        elif not path.is_file():  # a pipe would be waited for
            continue
        elif suffix_of(name) == ".zip":
            yield from _walk_zip(name, path, 1, Unpacked())
        elif suffix_of(name) in _SUFFIXES:
            yield _Member(name, functools.partial(read_bytes, path))
        elif re.search(r"\.zip\.part\d+$", name):
            raise UserError(f"{name}: a piece of a zip; join the pieces first (cat NAME.zip.part* > NAME.zip).")


def _walk_zip(name: str, file: Path | io.BytesIO, depth: int, unpacked: Unpacked) -> Iterator[_Member]:
    """List a zip's members, zips in it included; all is read in memory, nothing is ever extracted."""
    if depth > _DEEPEST_ZIP:
        raise UserError(f"{name}: zips in zips, more than {_DEEPEST_ZIP} deep; extract it by hand.")
    archive = open_archive(name, file)
    readable = [info for info in archive.infolist() if suffix_of(_member_name(info)) in (".zip", *_SUFFIXES)]
    unpacked.add(name, readable)
    for info in sorted(readable, key=lambda info: info.filename):
        inner = f"{name}/{_member_name(info)}"
        if info.is_dir() or _is_hidden(inner):
            continue
        if suffix_of(inner) == ".zip":
            yield from _walk_zip(inner, io.BytesIO(read_member(archive, info, inner)), depth + 1, unpacked)
        else:
            yield _Member(inner, functools.partial(read_member, archive, info, inner))


def _member_name(info: zipfile.ZipInfo) -> str:
    """Undo what zipfile does to Korean names that a Korean Windows stored without the UTF-8 flag."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("cp949")
        except UnicodeError:
            name = info.filename
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _is_hidden(name: str) -> bool:
    """Skip what macOS and Excel leave behind."""
    return "__MACOSX" in name or PurePosixPath(name).name.startswith((".", "~$"))
