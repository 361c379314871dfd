"""RayJobs: a command on Ray, the cluster for it, and what becomes of both. Pure."""
