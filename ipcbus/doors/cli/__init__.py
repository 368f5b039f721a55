"""The command line: an ordinary client, in small modules that load one at a time."""
