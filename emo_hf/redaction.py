"""What is said and stored without secrets: tokens, credentials in addresses, and what the environment keeps secret."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

HIDDEN = "***"
_SECRET_NAMES = re.compile(r"(TOKEN|SECRET|PASSWORD|API_?KEY|ACCESS_KEY)$", re.IGNORECASE)
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{HIDDEN}@"),  # https://user:password@host
    (re.compile(r"\b(hf_|api_org_|ghp_|github_pat_|sk-)[\w-]{16,}", re.ASCII), rf"\g<1>{HIDDEN}"),
    (re.compile(r"([?&](?:[\w-]*token|[\w-]*key|password|secret|sig|signature)=)[^&\s]+", re.I), rf"\g<1>{HIDDEN}"),
)


def redacted(value: Any) -> Any:
    """A text, or the texts in lists and mappings, with `***` in the place of each secret; other values as they are."""
    return _redacted(value, _kept_secret())


def start_logging() -> None:
    """Warnings of this process on standard error, as all recipes show them, without secrets."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def _kept_secret() -> list[str]:
    """The values that the environment names as secret, the longest first; short ones would hit innocent text."""
    found = {value.strip() for name, value in os.environ.items() if _SECRET_NAMES.search(name)}
    return sorted((value for value in found if len(value) >= 8), key=len, reverse=True)


def _redacted(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        for pattern, instead in _PATTERNS:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, dict):
        return {_redacted(key, secrets): _redacted(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, secrets) for item in value]
    return value
