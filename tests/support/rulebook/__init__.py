"""Every rule of the API by example: a manifest that holds to it, and one that doesn't.

Owns: the table. Does not own: who is asked (unit tests ask the Python, `tests/api` an API server).
Invariant: the good and the bad manifest of a case differ in the one thing that the rule is about.
"""

from tests.support.rulebook import groups, jobs, options

CASES = (*groups.CASES, *options.CASES, *jobs.CASES)
