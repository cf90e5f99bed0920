"""The errors of a verb, and the exit code of each.

    UnderstudyError
    ├── BadInputError       what a person wrote or left out cannot work
    ├── StorageError        the bucket did not do what was asked
    │   ├── MissingError       nothing is stored under that key
    │   ├── DamagedError       what is stored is not what was approved
    │   ├── NewerVersionError  what is stored was written by a newer version of Understudy
    │   └── FirstRingError     what the first ring reads could not be brought up to date, and all else could
    ├── FailedError         measured, and it is bad
    ├── DeclinedError       a rule says no; nothing is broken
    └── CouldNotTellError   no answer before the deadline: neither good nor bad

A transition that is not possible in a state (`pipeline.journal.state.Refused`) is a FailedError. Object stores have
leaves of their own (`pipeline.storage.objects`), which other rooms treat as a StorageError. A message says what is
wrong, which value, and what to do.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a scheduler sees. 99 is the code Airflow shows as *skipped*; 75 is EX_TEMPFAIL of sysexits.h.

    130 is what shells return for a program that Ctrl-C has ended (128 + SIGINT). Only `status` and
    `history --verify` end with 3. A wrong command line ends with 2, which is what typer does.
    """

    DONE = 0
    FAILED = 1
    DIFFERENCES = 3
    COULD_NOT_TELL = 75
    DECLINED = 99
    INTERRUPTED = 130


class UnderstudyError(Exception):
    exit_code = ExitCode.FAILED

    @property
    def outcome(self) -> str:
        """The exit code in words: failed, declined, could not tell."""
        return self.exit_code.name.lower().replace("_", " ")


class BadInputError(UnderstudyError):
    pass


class StorageError(UnderstudyError):
    pass


class MissingError(StorageError):
    pass


class DamagedError(StorageError):
    pass


class NewerVersionError(StorageError):
    pass


class FirstRingError(StorageError):
    pass


class FailedError(UnderstudyError):
    pass


class DeclinedError(UnderstudyError):
    exit_code = ExitCode.DECLINED


class CouldNotTellError(UnderstudyError):
    exit_code = ExitCode.COULD_NOT_TELL
