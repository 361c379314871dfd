"""RayService: what serves, what gets ready to serve, and what to say of both. Pure."""
