"""Where something lies: a folder on disk, or a prefix in an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.schemas.errors import CapabilityError, UsageError

SCHEMES: Final = ("s3", "gs", "az")
"""Object stores: Amazon S3 and all that speak its protocol, Google Cloud Storage, Azure Blob Storage."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LIKE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/|(s3|gs|az|file):", re.IGNORECASE)
"""What was meant as a URI and is none; `pathlib` makes one slash of two."""

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Place:
    """A folder on disk, or what lies below a prefix in an object store. A name only: nothing is opened or asked.

    `uri` is an absolute path, or ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``. It can be
    sent to workers, which open the store with the credentials of their own environment.
    """

    uri: str

    @staticmethod
    def of(uri: str | Path | Place) -> Place:
        """The place that a path or URI names; ``file:///`` is a path.

        Raises
        ------
        UsageError
            No bucket, or more in it than a name: credentials, a query, a step upward. One slash after the scheme, as in
            ``Path("s3://bucket")``; a host after ``file://``. What is refused is not repeated in the message: it may be
            a secret.
        CapabilityError
            Another scheme.
        """
        if isinstance(uri, Place):
            return uri
        match = _SCHEME.match(text := str(uri))
        if match is None and (like := _LIKE.match(text)):
            raise _no_uri((like[1] or like[2]).lower())
        scheme = match[1].lower() if match else "file"
        rest = text[match.end() :] if match else text
        if scheme == "file":
            if match is not None:
                rest = _after_host(rest)
            return Place(str(Path(rest).expanduser().absolute()))
        if scheme not in SCHEMES:
            raise CapabilityError(
                f"there are no catalogs on {scheme}://", hint="use a folder, s3://, gs:// or az://", where="catalog"
            )
        bucket, *parts = rest.split("/")
        _check_bucket(scheme, bucket)
        if any(character in rest for character in "?#\\\0"):
            raise UsageError(
                f"a {scheme}:// URI is a bucket and a prefix, without query or fragment",
                hint="credentials and settings of a store come from the environment",
            )
        parts = [part for part in parts if part]
        if any(part in (".", "..") for part in parts):
            raise UsageError(f"{text}: a prefix has no steps such as '..'")
        return Place("/".join((f"{scheme}://{bucket}", *parts)))

    @property
    def folder(self) -> Path | None:
        """The folder on disk, None in an object store."""
        return None if self.remote else Path(self.uri)

    @property
    def remote(self) -> bool:
        """Whether this is in an object store."""
        return _SCHEME.match(self.uri) is not None

    @property
    def name(self) -> str:
        """The last part; empty for a bucket and for the root of the disk."""
        return Path(self.uri).name if not self.remote else self._parts[-1] if self._parts else ""

    @property
    def parent(self) -> Place:
        """One step up; a bucket, like the root of the disk, is its own."""
        if not self.remote:
            return Place(str(Path(self.uri).parent))
        return Place(self.uri.rpartition("/")[0]) if self._parts else self

    @property
    def prefix(self) -> str:
        """What stands before every name in the bucket, without a slash at its end; empty on disk."""
        return "/".join(self._parts) if self.remote else ""

    @property
    def scheme(self) -> str:
        """`file`, `s3`, `gs` or `az`."""
        return self.uri.partition("://")[0] if self.remote else "file"

    @property
    def bucket(self) -> str:
        """The bucket or container; empty on disk."""
        return self.uri.split("/")[2] if self.remote else ""

    def with_name(self, name: str) -> Place:
        """The neighbour of this name."""
        return self.parent / name

    def on_disk(self, instead: str = "") -> Path:
        """The folder. Raises CapabilityError in an object store; `instead` says what to use there."""
        if self.remote:
            raise CapabilityError("lies in an object store, not in a folder", hint=instead, where=self.uri)
        return Path(self.uri)

    def __truediv__(self, relative: str) -> Place:
        if not self.remote:
            return Place(str(Path(self.uri) / relative))
        return Place.of(f"{self.uri}/{relative}")

    def __str__(self) -> str:
        return self.uri

    @property
    def _parts(self) -> list[str]:
        return self.uri.split("/")[3:]


def _no_uri(scheme: str) -> UsageError:
    means = {"file": "a path, or file:///path"}.get(scheme, f"{scheme}://bucket/catalog")
    return UsageError(
        f"{scheme}: is followed by two slashes in a URI, and no folder was meant",
        hint=f"write {means}, as text: pathlib.Path makes one slash of two; a folder of that name by its absolute path",
    )


def _after_host(rest: str) -> str:
    """The path of a ``file://`` URI, which may name this machine and no other."""
    host, slash, path = rest.partition("/")
    if not slash or host not in ("", "localhost"):
        raise UsageError(
            "a file:// URI is a path on this machine, and names no host or relative path",
            hint="write the path itself, or file:///path with three slashes; a folder of another machine is mounted",
        )
    return f"/{path}"


def _check_bucket(scheme: str, bucket: str) -> None:
    if "@" in bucket or ":" in bucket:
        variables = {"s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "gs": "GOOGLE_SERVICE_ACCOUNT"}
        raise UsageError(
            f"the {scheme}:// URI has credentials in it; a URI is written to logs and records",
            hint=f"set {variables.get(scheme, 'AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY')}, or let the "
            "store's own chain find them; and change those that were in the URI",
        )
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"a {scheme}:// URI begins with a bucket", hint=f"{scheme}://bucket/catalog")
