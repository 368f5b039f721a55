"""Does it stay as fast, as small and as quick to start when there is more of it?

    python -m benchmarks.curves               all of it, about 15 minutes
    python -m benchmarks.curves --only agents --quick --pictures docs

What there may be more of, each in a module of this package:

    agents        names registered, nobody connected but a pair
    connections   agents connected, idle but for their pings
    backlog       messages waiting in the mailbox that is sent to
    networks      brokers on one machine
    topics        patterns that agents have joined
    broadcast     mailboxes that one message goes to

All sizes of a curve are there at the same time, each in a network of its own, and take
turns within each round: a slow moment of the machine hits all of them. (Connections are
the exception: they cost the machine something while they are idle, so a broker without
any takes turns with the one that gets more and more.)
"""
