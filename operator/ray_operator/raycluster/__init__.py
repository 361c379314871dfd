"""RayCluster: what there should be, what to do about it, and what to say of it. Pure."""
