"""The exceptions that this project raises: one family, told apart by who can mend the cause."""


class CondenseError(Exception):
    """Base of every exception raised on purpose; its message is one line, fit for a terminal."""


class InputError(CondenseError):
    """What the user gave cannot be used: a file, a value, a name. The message says what to do."""


class UnsupportedError(InputError):
    """The input is well formed, but asks for something this compiler does not do."""


class ContractError(CondenseError):
    """A pass, planner or target broke its contract: a defect there, not in the input."""
