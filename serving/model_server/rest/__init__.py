"""The REST API of tensorflow_model_server: JSON over HTTP, answered by `serving.model_server.api`."""
