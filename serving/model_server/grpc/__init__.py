"""The gRPC border: services, health, credentials and the port."""
