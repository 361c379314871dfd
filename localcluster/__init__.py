"""A real Kubernetes cluster on one machine, for this project's tests and demos.

Owns everything between `make cluster` and a kubeconfig that works. Deliberately knows nothing
about Ray's resources or the operator beyond how to build and load their images. Invariant: outside
the cache folder, the host is the same after `down` as before `up`.
"""
