"""What the operator costs, measured against a real API server."""
