"""TensorFlow Serving's REST API, answered by gRPC."""
