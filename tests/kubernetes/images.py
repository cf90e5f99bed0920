"""The images that the node can pull: what they would run, as local programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """What an image says about the process of a container.

    Attributes:
        entrypoint: its ENTRYPOINT.
        command: its CMD.
        env: its ENV: all that a container has beside what its pod says. Give it a PATH.
        directory: its WORKDIR, a folder of this machine.
        programs: local programs in place of those of the image, for example {"python": sys.executable}. It counts for
            the first word of the command line.
    """

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    directory: str | Path = "/"
    programs: Mapping[str, str] = field(default_factory=dict)

    def local(self, argv: Sequence[str]) -> list[str]:
        """The command line with the local program."""
        return [self.programs.get(argv[0], argv[0]), *argv[1:]] if argv else []
