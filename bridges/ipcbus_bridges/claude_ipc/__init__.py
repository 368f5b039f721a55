"""The door for programs that were written for claude-ipc-mcp.

They open a TCP connection to 127.0.0.1:9876, send one JSON object, read one with a
single `recv(65536)`, and close. Here each of their instances is an ordinary agent of a
network, with a key of its own and a client that speaks for it. So names, mailboxes,
future mail, forwarding, age and history are those of the network, nothing is stored
twice, and agents old and new see each other.

    limits limiter                                 PURE: its bounds
    framing names requests wording mail            PURE: from bytes to what was asked,
                                                   and from messages to what is answered
    state files                                    sessions, large messages: on disk
    people desk                                    the clients, and who is let do what
    connection server running                      sockets, bounds, and the process
    olddata plan moving                            the importer of the old database

What the door itself must remember (hashes of session tokens, which names old programs
claimed, which old messages were moved in) is in `claude-ipc/` in the network's folder.
"""
