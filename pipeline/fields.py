"""Groups of fields that a person writes in a model file. What is wrong in one says what may stand there."""

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError


class Fields(BaseModel):
    """A group of fields, whose messages are for the person who wrote it.

    Attributes:
        example: what a person may write for it; for messages.
        others: fields of other groups that may stand in its place; for messages.
    """

    example: ClassVar[str] = ""
    others: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            # Errors of groups within this one come back as they are: they have been explained there.
            lines = [_line(each, cls._explanation(each)) for each in error.errors()]
            raise ValidationError.from_exception_data(cls.__name__, lines) from error

    @classmethod
    def _explanation(cls, error: ErrorDetails) -> str:
        kind, location, given = error["type"], error["loc"], error["input"]
        if not location:
            return f"give its fields{_such_as(cls.example)}" if kind == "model_type" else error["msg"]
        if len(location) == 1 and kind == "extra_forbidden":
            return cls._unknown(str(location[0]))
        if len(location) == 1 and kind == "missing":
            return error["msg"] + _such_as(cls.example)
        if kind == "tuple_type" and isinstance(given, int | str):
            return f"give a list, for example [{given}]"
        return error["msg"]

    @classmethod
    def _unknown(cls, given: str) -> str:
        if given in cls.others:
            return f"it does not go with the other fields here. These do: {', '.join(cls._names())}"
        return unknown_field(given, [*cls._names(), *cls.others])

    @classmethod
    def _names(cls) -> list[str]:
        return [field.alias or name for name, field in cls.model_fields.items()]


def unknown_field(given: str, known: Iterable[str]) -> str:
    """That there is no such field, and which ones there are: the nearest one first, if one is near."""
    names = list(known)
    near = difflib.get_close_matches(given, names, n=1)
    listed = ", ".join([*near, *(name for name in names if name not in near)])
    return f"there is no such field{f'; did you mean {near[0]}?' if near else '.'} Known here: {listed}"


def wrong_field(message: str, *location: str, given: Any) -> ValidationError:
    """What a validator of a whole group raises to name one field in it, so that its line is found.

    Args:
        message: what to write there.
        location: the names of the field, from the group inwards.
        given: its value.
    """
    line = InitErrorDetails(type=PydanticCustomError("value_error", _literal(message)), loc=location, input=given)
    return ValidationError.from_exception_data("", [line])


def _line(error: ErrorDetails, message: str) -> InitErrorDetails:
    kind = PydanticCustomError(_literal(error["type"]), _literal(message))
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"])


def _literal(text: Any) -> Any:
    """Pydantic's types ask for a text that is known beforehand, and its code does not."""
    return text


def _such_as(example: str) -> str:
    return f", for example {example}" if example else ""
