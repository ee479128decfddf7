from __future__ import annotations

import pytest

from headrace.commands import installation
from headrace.commands.installation import findings


def test_this_installation_is_sound() -> None:
    found = {finding.name: finding for finding in findings()}
    assert found["CPU engine"].state == "ok"
    assert [f.name for f in found.values() if f.needed and f.state == "broken"] == []
    assert {"Python", "headrace", "polars", "extra build", "extra demo"} <= set(found)


def test_a_package_of_another_version_is_broken_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "installed", lambda name: "1.20.0" if name == "polars" else "26.10.0")
    found = {finding.name: finding for finding in findings()}
    assert found["polars"].state == "broken"
    assert found["polars"].needed
    assert found["polars"].found.startswith("1.20.0, asked for ")
    assert found["polars"].advice.startswith("pip install 'polars")
