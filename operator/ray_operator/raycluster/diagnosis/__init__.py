"""Why a cluster isn't ready: `diagnose` puts in order what the other modules find, by source."""
