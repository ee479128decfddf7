from __future__ import annotations

import hashlib
import json

import pytest

from headrace.catalog.seal import sealed, unsealed

NAME = "_refs/prod/00000003.json"
DOCUMENT = {"format": 1, "name": "prod", "nested": {"a": "\u00e4\n"}, "none": None}


def test_a_seal_is_the_sha256_of_the_name_and_of_what_stands_before() -> None:
    data = sealed(NAME, DOCUMENT)
    *lines, seal, end, nothing = data.decode().split("\n")
    text = "\n".join([NAME, *lines]).removesuffix(",")
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert (seal, end, nothing) == (f'  "sha256": "{digest}"', "}", "")
    assert json.loads(data) == DOCUMENT | {"sha256": digest}
    assert unsealed(NAME, data, ()) == DOCUMENT


def test_every_flipped_bit_is_seen() -> None:
    data = sealed(NAME, DOCUMENT)
    for bit in range(8 * len(data)):
        spoiled = bytearray(data)
        spoiled[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"."):
            unsealed(NAME, bytes(spoiled), DOCUMENT)


def test_every_cut_and_growth_is_seen() -> None:
    data = sealed(NAME, DOCUMENT)
    for spoiled in [*(data[:size] for size in range(len(data))), data + b"\n", b" " + data, data + data]:
        with pytest.raises(ValueError, match=r"."):
            unsealed(NAME, spoiled, DOCUMENT)


def test_another_name_does_not_fit() -> None:
    with pytest.raises(ValueError, match="its seal does not fit"):
        unsealed("_refs/prod/00000004.json", sealed(NAME, DOCUMENT), DOCUMENT)


def test_without_a_seal_there_are_only_fields_that_are_known() -> None:
    data = json.dumps(DOCUMENT).encode()
    assert unsealed(NAME, data, DOCUMENT) == DOCUMENT
    with pytest.raises(ValueError, match="has no seal, and fields that are not known: nested, none"):
        unsealed(NAME, data, ("format", "name"))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"1", b"{", b"\xff"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unsealed(NAME, data, ())
