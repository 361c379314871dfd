"""RayCronJob: what is due, what to do about it, and what to say of it. Pure."""
