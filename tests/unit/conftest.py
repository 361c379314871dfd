"""What all unit tests run under."""

import hypothesis

# How long an example takes tells of the machine, not of the code.
hypothesis.settings.register_profile("shared-machine", deadline=None)
hypothesis.settings.load_profile("shared-machine")
