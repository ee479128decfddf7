"""What a store refused, as one of our errors: what is wrong, and what to do about it."""

from __future__ import annotations

import re
from typing import Final

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from headrace.schemas.errors import CapabilityError, RunError

_FULL: Final = ("No space left", "os error 28", "Disk quota", "os error 122")
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3}) ?([A-Za-z ]*)")
_CODE: Final = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<\n]*)")
_RETRIES: Final = re.compile(r"after (\d+) retries")
_SERVER: Final = re.compile(r"https?://(?:[^/\s?@]*@)?([^/\s?]+)")
_USER: Final = re.compile(r"(https?://)[^/\s?@]*@")
_QUERY: Final = re.compile(r"(https?://[^\s?]+)\?\S*")

NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_EXPIRED: Final = ("ExpiredToken", "TokenRefreshRequired", "RequestExpired", "token has expired", "token is expired")
_UNKNOWN: Final = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed")
_NOT_FOUND: Final = (
    "169.254.169.254",
    "metadata.google.internal",
    "MissingCredentials",
    "MissingAccount",
    "MissingSecretAccessKey",
    "MissingAccessKeyId",
)
_TIMED_OUT: Final = ("operation timed out", "TimedOut", "kind: Timeout")
_CHAIN: Final = "credentials come from the environment (AWS_*, GOOGLE_*, AZURE_*) or from the machine's own role"


def store_error(error: Exception, doing: str, where: str) -> CapabilityError | RunError:
    """What a store, or the disk below it, refused. Secrets that a store repeats, as in a signed URL, are left out.

    A full disk is a RunError; the rest is of the environment: permissions, credentials, a bucket, the network.
    """
    text = str(error)
    if any(sign in text for sign in _FULL):
        reason = text.splitlines()[0]
        return RunError(f"could not {doing}: {reason}", hint="free space there; nothing was published", where=where)
    reason, hint = _remote(error, text) if "://" in where else (text.splitlines()[0] if text else repr(error), "")
    return CapabilityError(
        f"could not {doing}: {reason}",
        hint=hint or "check that the folder exists and may be written, or choose another catalog",
        where=where,
    )


def no_bucket(error: Exception) -> bool:
    """Whether an object was not found for want of its bucket."""
    return any(sign in str(error) for sign in NO_BUCKET)


def _remote(error: Exception, text: str) -> tuple[str, str]:
    said = _said(text)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    tries = f", after {found[1]} retries" if (found := _RETRIES.search(text)) else ""
    server = f" at {found[1]}" if (found := _SERVER.search(text)) else ""
    if no_bucket(error):
        return "there is no such bucket", "make the bucket, or name another one"
    if any(sign in text for sign in _EXPIRED):
        return f"the credentials have expired ({said})", "get new ones, such as AWS_SESSION_TOKEN, and run again"
    if any(sign in text for sign in _NOT_FOUND):
        return "there are no credentials for this store, or not all of them", f"set them: {_CHAIN}"
    if any(sign in text for sign in _UNKNOWN) or status == 401 or isinstance(error, UnauthenticatedError):
        return f"the store does not accept the credentials ({said})", f"check them: {_CHAIN}"
    if status == 403 or isinstance(error, PermissionDeniedError):
        return f"the credentials do not allow it ({said})", f"have this permission given, or use others: {_CHAIN}"
    if status == 501:
        return f"the store does not know how ({said})", "use a store with conditional puts (S3, GCS, Azure)"
    if status >= 500 or status == 429:
        return f"the store is not available ({said}{tries})", "try again later; what is there is as it was"
    if any(sign in text for sign in _TIMED_OUT):
        return f"no answer in time{server}{tries}", "check the network, and the endpoint if one is set"
    if "error sending request" in text or "kind: Connect" in text:
        return f"no connection{server}{tries}", "check the network, and the endpoint if one is set (AWS_ENDPOINT_URL)"
    return said, "check the URI, the credentials and the network"


def _said(text: str) -> str:
    """What the store said, in a line: status, code and message; queries of URLs may hold a signature."""
    parts = [f"{found[1]} {found[2].strip()}".strip()] if (found := _STATUS.search(text)) else []
    parts += [found[1] for pattern in (_CODE, _MESSAGE) if (found := pattern.search(text))]
    return ": ".join(part for part in parts if part) or _USER.sub(
        r"\1", _QUERY.sub(r"\1", text.splitlines()[0] if text else "no reason")
    )
