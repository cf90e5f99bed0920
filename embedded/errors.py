"""The errors of the stack.

StackError
├── PortTakenError      another program listens on a port of the stack
├── NotHealthyError     a component keeps ending, or does not answer before the deadline
└── AirflowError        Airflow's API refuses a request, or does not answer
"""


class StackError(Exception):
    """The message says what is wrong, with the value, and what to do about it."""


class PortTakenError(StackError):
    pass


class NotHealthyError(StackError):
    pass


class AirflowError(StackError):
    pass
