"""Errors that adapters raise and the one retry policy (`reconcile`) understands.

Owns: the closed set of failures of the two systems we call, Kubernetes and Ray. Does not own:
expected states (a missing object is `None`, a bad spec is a list of field errors). Invariant:
only adapters (`kube`, `dashboard`, `gcs`) raise these, with the transport's error as the cause.
"""


class KubeError(Exception):
    """Report a failed call of the Kubernetes API.

    Attributes:
        status: HTTP status code; 0 when there was no answer.
        message: what the API server (or the transport) said.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NotFound(KubeError):
    """The object, or the namespace or resource it would live in, does not exist (404)."""


class Gone(KubeError):
    """The resource version asked for has been compacted away (410): list again."""


class Conflict(KubeError):
    """Somebody changed the object since it was read, or its UID is another one (409)."""


class AlreadyExists(KubeError):
    """An object of that name exists already (409, reason AlreadyExists)."""


class Invalid(KubeError):
    """The API server refuses the object as it is (400, 422)."""


class Forbidden(KubeError):
    """RBAC, quota or an admission plugin says no (401, 403)."""


class Unavailable(KubeError):
    """No answer, or one that says nothing about the outcome (time-out, 429, 5xx).

    Attributes:
        retry_after_seconds: what the server asked for, else None.
    """

    def __init__(
        self, message: str, *, status: int = 0, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after_seconds = retry_after_seconds


class NamespaceEnds(Forbidden):
    """Nothing can be made in a namespace that is going away."""


class NotLeading(Exception):
    """This replica's lease is too old to write under: drop the work, the new leader does it."""


class RayError(Exception):
    """Report a failed call of a Ray head."""


class Unreachable(RayError):
    """No answer: nobody listens, it took too long, or the head isn't up to it (5xx)."""


class Slow(Unreachable):
    """No answer within the time that was given."""


class Rejected(RayError):
    """Ray says no: a missing or wrong token, an unknown call, a bad request."""


class Unsupported(Rejected):
    """This version of Ray doesn't know the call."""


class Refused(Rejected):
    """Ray says no to what it was given, and will however often it is asked."""
