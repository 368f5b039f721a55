"""A server of the Model Context Protocol, made of the registry of tools.

    desks     a seat on the bus for each client of the server
    server    tools and resources, as the SDK's low-level `Server`
    watching  tells subscribers that a resource changed
    stdio     the wire of the process's own stdin and stdout
    http      the wire of a loopback port, behind a token
    running   one of them, until its client or a signal ends it

Only `running` is imported by the command, and only then is the SDK loaded, which takes
most of a second.
"""
