"""ipcbus next to other brokers, each through the Python client that is usual for it."""
