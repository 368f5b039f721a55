"""Properties are tried without a time limit for each example: the machine is shared."""

from hypothesis import settings

settings.register_profile("ipcbus", deadline=None)
settings.load_profile("ipcbus")
