"""The demo: two networks and a bridge, all of them killed; what was proved.

    python -m ipcbus.doors.demo

An ordinary client of the bus, in a home of its own that is removed again. alice is
this program and speaks Python; bob is a shell, and everything it does is a command
line that is shown; carol reads in the background. dana lives in the other network. What
must hold is checked as it happens and listed at the end with what was counted. Ends
with 0 if all of it held, else with 1.

    story    the transcript, and the list of what was proved
    bridge   the process that carries mail between the networks
    cast     who plays, and what they do in more than one scene
    scenes   what is played in one network, and the order of all of it
    across   what is played between the two
    agents   two agents that answer by themselves, one in each network
    stage    the home, the order of things, the exit code
"""
