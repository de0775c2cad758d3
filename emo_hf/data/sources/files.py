"""A file by its name and its first bytes: of which kind it is, and its content."""

from __future__ import annotations

from pathlib import Path, PurePath

from emo_hf.errors import UserError

KINDS = (".csv", ".tsv", ".txt", ".xlsx", ".json", ".jsonl", ".parquet")  # that `readers` reads


def suffix_of(name: str) -> str:
    """Return the lower-case suffix of a file name, `.csv` for `Train.CSV`."""
    return PurePath(name).suffix.lower()


def check_content(name: str, head: bytes) -> None:
    """Raise a `UserError` where a file that is none by its name begins as a workbook does."""
    if head.startswith(b"PK\x03\x04"):
        raise UserError(f"{name} is a workbook or a zip by its content; name it .xlsx or .zip, as it is.")


def read_bytes(path: Path) -> bytes:
    """The content of a file; raises `UserError` if it can't be opened, or is a pipe, which may never end."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no regular file; give a file or a folder.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be opened ({error.strerror}); check its permissions.") from error


def own_delimiter(name: str) -> str | None:
    """The delimiter that the suffix of a file says; None where it may as well be one text a line."""
    return {".csv": ",", ".tsv": "\t"}.get(suffix_of(name))
