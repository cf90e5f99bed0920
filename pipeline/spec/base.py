"""What the fields of a model file have in common."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.errors import BadInputError
from pipeline.fields import Fields, wrong_field
from pipeline.validation import problems

__all__ = ["FROM_A_FILE", "Digest", "Frozen", "Share", "parse", "wrong_field"]

Share = Annotated[float, Field(ge=0, le=1)]
# A SHA-256 in hexadecimal. Programs of other systems write capital letters.
Digest = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{64}$"),
    BeforeValidator(lambda given: given.lower() if isinstance(given, str) else given),
]
T = TypeVar("T", bound=BaseModel)

# A file is checked for more than a record of it: what was taken once must be readable for ever.
FROM_A_FILE = {"from a file": True}


class Frozen(Fields):
    """A part of a model file: it has no other fields than these, and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def parse(kind: type[T], content: Any, *, source: str) -> T:
    """Check `content` against a model of ours.

    Raises:
        BadInputError: names the source and every wrong field with its value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise BadInputError(f"{source}: {problems(error)}") from error
