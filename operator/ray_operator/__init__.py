"""A Kubernetes operator for Ray. `docs`: README.md; layers: pyproject.toml, import-linter."""
