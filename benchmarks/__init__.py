"""What ipcbus can do on this machine, next to what it is made of.

    python -m benchmarks              the table: messages a second and latencies, each
                                      next to a raw relay and raw commits
    python -m benchmarks.peers        the same work through other brokers
    python -m benchmarks.parts        microseconds of each part of the path
    python -m benchmarks.curves       agents, connections, backlog, networks, broadcast
    python -m benchmarks.backlog      a mailbox with a million messages
    python -m benchmarks.oneshot      commands as whole processes
    python -m benchmarks.bridge       across a bridge, next to one network alone

Figures of one run can be compared with each other, those of two runs hardly: all that
is compared takes turns within a run, and what is quoted is the median of the rounds.
"""
