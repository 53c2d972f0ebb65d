"""What the options of every task have: the loss."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from neuroanp.errors import InputError, did_you_mean
from neuroanp.losses import LOSSES, Loss

PLAIN = "squared_error"


class TaskOptions(BaseModel):
    """Base of a task's options: a frozen model, with the loss by its name.

    A task offers every registered loss that takes its targets (`Loss.misfit`): the squared error takes all, the
    cross-entropy classes alone. One that does not is refused before anything runs. A task whose options lack the key
    has one loss, whichever its member `loss` is.

    The squared error is not written out where it is the default: runs from before there was a choice have the same
    configuration, and the same name.

    >>> TaskOptions().model_dump(), TaskOptions(loss="cross_entropy").model_dump()
    ({}, {'loss': 'cross_entropy'})

    >>> TaskOptions().made_loss().label
    'mean squared error'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")
    unsaid: ClassVar[frozenset[str]] = frozenset()
    """Options that came later: they are not written out at their default either, for the same reason."""

    loss: str = Field(default=PLAIN, description="squared_error, cross_entropy where targets are classes, or your own")

    @field_validator("loss")
    @classmethod
    def _known(cls, name: str) -> str:
        known = LOSSES.names()
        if name not in known:
            raise ValueError(f"unknown loss '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
        try:
            LOSSES.get(name)
        except InputError as error:  # it cannot be loaded, or lacks a member
            raise ValueError(error.message) from None
        return name

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain = handler(self)
        fields = type(self).model_fields
        left_out = {name for name in self.unsaid if plain.get(name) == fields[name].default}
        if plain.get("loss") == fields["loss"].default == PLAIN:
            left_out.add("loss")
        return {name: value for name, value in plain.items() if name not in left_out}

    def made_loss(self) -> Loss:
        """Return the loss that is chosen."""
        return LOSSES.get(self.loss)()
