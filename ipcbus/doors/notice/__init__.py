"""Noticing mail: an AI that works in a CLI of its own hears of it in time.

    events     which hooks of which CLI, and what each may answer. Pure
    given      what a CLI hands to a hook on stdin
    memory     what is known of a session of a CLI, in a file of its own
    words      mail as text for a model, within a bound. Pure
    looking    ask the broker; settle what was shown; lease what is new
    hook       one event, from stdin to stdout
    waiter     wait for mail and wake an idle session
    desktop    a notification for the person at the machine
    auto       how often an agent wants to hear of mail

What a hook shows is leased, written down for its session, and acked when a later event
of that session proves that the model has read it.
"""
