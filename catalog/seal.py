"""Seals: a small JSON object ends with the SHA-256 of its name and of every byte before, so that any flip is seen."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container
from typing import Any, Final

from headrace.catalog.records import Json

SEAL: Final = "sha256"
_END: Final = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')


def sealed(name: str, document: Json) -> bytes:
    """JSON as people read it, with a seal for the object of this name as its last field."""
    body = json.dumps(document, indent=2, allow_nan=False).removesuffix("\n}").encode()
    return body + f',\n  "{SEAL}": "{_digest(name, body)}"\n}}\n'.encode()


def unsealed(name: str, data: bytes, known: Container[str]) -> Json:
    """What a small JSON object says, without its seal.

    Parameters
    ----------
    name
        The object's name in its dataset: under another one its seal does not fit.
    known
        Fields that it may have. One without a seal, of a headrace before there were seals, has no others: a field that
        nobody knows may be a seal with a flip in its name.

    Raises
    ------
    ValueError
        It is no JSON object, or not as it was written.
    """
    document: Any = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("is no JSON object")
    found = _END.search(data)
    if found is None and (unknown := [field for field in document if field not in known]):
        raise ValueError(f"has no seal, and fields that are not known: {', '.join(unknown)}")
    if found is not None and document.pop(SEAL) != _digest(name, data[: found.start()]):
        raise ValueError("its seal does not fit")
    return document


def _digest(name: str, body: bytes) -> str:
    return hashlib.sha256(name.encode() + b"\n" + body).hexdigest()
