"""The client of an application: sends each request to one replica of a fleet, in turn, and knows which one answered."""

from serving.client.async_client import AsyncClient
from serving.client.sync_client import Client

__all__ = ["AsyncClient", "Client"]
