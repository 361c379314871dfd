"""The one error that the launcher shows to its user.

Owns the type only. Anything else that escapes is a defect and keeps its traceback. Invariant: the
message alone tells what failed and what to do about it.
"""


class LocalClusterError(Exception):
    """State what failed, why, and what the user can do; printed without a traceback."""
