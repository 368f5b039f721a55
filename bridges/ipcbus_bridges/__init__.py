"""Bridges between networks, and to foreign ones.

A bridge is a process that is a member of two networks and carries chosen messages from
one to the other. It is a client like any other: it imports the public face, `ipcbus`,
and nothing beneath it, and it keeps no state of its own.
"""
