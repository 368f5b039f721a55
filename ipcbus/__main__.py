"""`python -m ipcbus` is `ipcbus`."""

from ipcbus.doors.cli.app import main

if __name__ == "__main__":
    main()
