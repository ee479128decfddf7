"""How much hypothesis tries: all of it in `make test`, less in `make check`. No deadlines: machines differ."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("all", deadline=None)
settings.register_profile("check", deadline=None, max_examples=20)
settings.load_profile("all")
