"""What every published build says of itself in the forms of others, written before its manifest and listed in it."""

from __future__ import annotations

from headrace.catalog.card import CARD, dataset_card
from headrace.catalog.croissant import CROISSANT, dump_croissant
from headrace.catalog.manifest import Manifest
from headrace.catalog.output_contract import OUTPUT_CONTRACT, dump_output_contract


def cards(manifest: Manifest) -> dict[str, bytes]:
    """Hugging Face's card, Croissant metadata and the contract of the rows, by file name.

    A pure function of the manifest, which does not list them yet: the same bytes whenever they are written.
    """
    found = {CARD: dataset_card(manifest).encode(), CROISSANT: dump_croissant(manifest)}
    contract = dump_output_contract(manifest)
    return found if contract is None else found | {OUTPUT_CONTRACT: contract}
