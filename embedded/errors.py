"""Every way the stack can refuse or fail.

StackError
├── PortTakenError      another program listens where ours must
├── NotHealthyError     a component keeps ending, or did not answer before the deadline
└── AirflowError        Airflow's API refused, or did not answer
"""


class StackError(Exception):
    """The message says what is wrong, which value, and the way out."""


class PortTakenError(StackError):
    pass


class NotHealthyError(StackError):
    pass


class AirflowError(StackError):
    pass
