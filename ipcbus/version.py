"""The version of the package; the wire protocol has its own (`protocol.limits`)."""

__version__ = "0.1.0"
