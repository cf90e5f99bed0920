"""For as long as the client has no `classify`."""

from dataclasses import dataclass

from serving.client import AsyncClient
from serving.signature import inputs_of, probabilities_of
from serving.wire import Array


@dataclass(frozen=True)
class Classified:
    version: int
    address: str
    probabilities: Array

    def top(self, k: int) -> list[list[tuple[str, float]]]:
        order = (-self.probabilities).argsort(axis=1)[:, :k]
        return [
            [(f"class {i}", float(row[i])) for i in best] for row, best in zip(self.probabilities, order, strict=True)
        ]


async def classify(client: AsyncClient, model: str, images: list[bytes], *, version: int | None) -> Classified:
    answer = await client.predict(model, inputs_of(images), version=version)
    return Classified(answer.version, answer.address, probabilities_of(answer.outputs))
