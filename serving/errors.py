"""Every way a question to a model server can go wrong.

ServingError
├── UnreachableError    no answer: the replica is down, away, or slower than the deadline
├── NotServedError      the replica is well and does not have that model, version or label (now)
├── RefusedError        the request or the configuration is not acceptable to the server
└── ServerFaultError    the server tried and failed

try:
    answer = replica.predict(...)
except ServingError as error:
    ...  # error.address and the server's own words are in the message
"""


class ServingError(Exception):
    def __init__(self, address: str, told: str) -> None:
        super().__init__(f"{address}: {told}")
        self.address = address
        self.told = told


class UnreachableError(ServingError):
    pass


class NotServedError(ServingError):
    pass


class RefusedError(ServingError):
    pass


class ServerFaultError(ServingError):
    pass
