"""A drop-in for `tensorflow_model_server` without a container: the same flags, the same gRPC API, the same rules."""
