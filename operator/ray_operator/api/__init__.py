"""The models of our API: the one source of CRDs, defaults and validation, and a typed SDK."""
