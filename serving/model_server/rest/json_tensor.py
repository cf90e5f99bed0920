"""The JSON side of the REST API: request bodies into protocol messages, protocol messages into reply bodies.

    fill_predict_request(body, request, inputs_of) -> JsonPredictFormat   # inputs_of("" or name) -> {alias: TensorInfo}
    predict_response(response.outputs, form) -> bytes
    fill_classification_request(body, request), classification_response(response.result) -> bytes
    fill_regression_request(body, request), regression_response(response.result) -> bytes
    error_body(message) -> bytes

Whatever a body holds, what is raised is a StatusError; what `inputs_of` raises goes through as it is.
"""

from serving.model_server.rest.decode import JsonPredictFormat, fill_predict_request
from serving.model_server.rest.encode import (
    classification_response,
    error_body,
    predict_response,
    regression_response,
)
from serving.model_server.rest.examples import fill_classification_request, fill_regression_request

__all__ = [
    "JsonPredictFormat",
    "classification_response",
    "error_body",
    "fill_classification_request",
    "fill_predict_request",
    "fill_regression_request",
    "predict_response",
    "regression_response",
]
