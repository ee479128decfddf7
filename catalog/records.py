"""What the values of a manifest are made of: frozen, spelled right when written, open to later fields when read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

Json = dict[str, Any]


def relative_path(path: str) -> str:
    """Check that `path` stays inside the folder it is relative to: no root, no `..`, no drive, forward slashes."""
    parts = path.split("/")
    if not path or "\\" in path or "\0" in path or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path!r} is not a plain relative path")
    return path


RelativePath = Annotated[str, AfterValidator(relative_path)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BuildId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Count = Annotated[int, Field(ge=0)]


def _open_ended(schema: Json) -> None:
    schema.pop("additionalProperties", None)


class Record(BaseModel):
    """A frozen part of the manifest. Writers must spell its fields right; readers skip fields of later versions."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_open_ended)

    @model_validator(mode="before")
    @classmethod
    def _skip_later_fields(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, dict) and info.context == "read":
            return {key: value for key, value in data.items() if key in cls.model_fields}
        return data


class FileRef(Record):
    """Any file of a build: state, quarantine, report, contract."""

    path: RelativePath
    bytes: Count
    sha256: Sha256


class File(FileRef):
    """A shard: a Parquet file of a split, with what a reader needs in order to plan without opening footers."""

    rows: Count
    row_groups: tuple[Count, ...] = Field(description="rows of each row group, in file order")
    build: BuildId | None = Field(
        default=None, description="the older build that holds it, of an append; None = this one"
    )
