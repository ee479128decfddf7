"""What a task is told: small enough to be sent anywhere."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Task(BaseModel):
    """A task over one partition, one learner or one bucket; small enough to be sent anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    engine: str
    number: int
    item: int
    bucket: int = 0
