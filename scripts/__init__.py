"""What a developer runs: the demo and the writer of the generated files."""
