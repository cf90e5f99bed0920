"""JSON of TensorFlow Serving's REST API, from and to protocol messages: what the server and the gateway both need."""
