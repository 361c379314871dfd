"""What the API server means when it refuses.

Owns: the translation of its answers into `KubeError`s. Does not own: failures without an answer
(`kube`). Invariant: whatever is answered, an error comes out.
"""

from collections.abc import Mapping

import msgspec

from ray_operator import errors


class _Cause(msgspec.Struct):
    reason: str = ""


class _Details(msgspec.Struct):
    causes: list[_Cause] = []


class _Status(msgspec.Struct):
    """The part of a metav1.Status that tells errors apart."""

    reason: str = ""
    message: str = ""
    details: _Details | None = None


def error(code: int, headers: Mapping[str, str], body: bytes) -> errors.KubeError:
    """Translate an answer of 300 and above. Source: apimachinery's metav1.StatusReason."""
    try:
        status = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = _Status(message=body[:200].decode(errors="replace"))
    message = status.message or f"HTTP {code}"
    if code == 409 and status.reason == "AlreadyExists":
        return errors.AlreadyExists(message, status=code)
    causes = status.details.causes if status.details else ()
    if code == 403 and any(each.reason == "NamespaceTerminating" for each in causes):
        return errors.NamespaceEnds(message, status=code)
    if code == 429 or code >= 500:
        after = headers.get("Retry-After", "")
        return errors.Unavailable(
            message, status=code, retry_after_seconds=float(after) if after.isdigit() else None
        )
    kinds: dict[int, type[errors.KubeError]] = {
        401: errors.Forbidden,
        403: errors.Forbidden,
        404: errors.NotFound,
        409: errors.Conflict,
        410: errors.Gone,
    }
    return kinds.get(code, errors.Invalid)(message, status=code)
