"""What is wrong with a resource: lists of field errors, one module a part of the API.

Owns: every rule, as Python, with the words; each message names the fix. Does not own: what follows
from a bad spec (the planners leave its world alone, statuses tell). Invariant: pure, and total over
whatever an API server may have stored; no errors means that all builders work.
"""
