"""How a command fails: in one line on standard error, with an exit status of its own.

`wsgix.cli.main` alone catches it. It imports nothing, so that every command can have it at no cost.
"""


class CommandFailure(Exception):
    """The command cannot do what was asked; the message is for the person at the terminal.

    Attributes:
        exit_status: what the process ends with, from 1 to 127.
    """

    exit_status: int

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status
