"""TensorFlow Serving's REST API, besides predictions: the signatures of a model, and the states of its versions."""

from serving.apis import SIGNATURE_DEF, get_model_metadata_pb2
from serving.errors import DiscoveryError, ServingError
from serving.gateway.errors import of_serving
from serving.gateway.models.models import Model
from serving.gateway.models.target import Target
from serving.rest_json.status_and_metadata import metadata_body, status_body


async def metadata(model: Model, target: Target) -> bytes:
    """The body with all signatures of a version. A replica is asked each time.

    Raises:
        GatewayError: the model servers did not answer.
    """
    known = await model.signatures.fetch(target)
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec={"name": model.name})
    response.model_spec.version.value = known.version
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=known.signatures)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return metadata_body(response)


async def status(model: Model, version: int | None) -> bytes:
    """The body with the states that one replica has seen: of a version, or of all.

    Raises:
        GatewayError: the model servers did not answer.
    """
    try:
        return status_body(await model.client.status(model.name, version=version))
    except (ServingError, DiscoveryError) as error:
        raise of_serving(error, model.name, version=version) from error
