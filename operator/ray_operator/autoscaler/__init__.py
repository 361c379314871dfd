"""Scaling a cluster's workers by what Ray asks for: pure, no I/O, clock or chance."""
