"""The client of an application: sends each request to one replica of a fleet, in turn, and knows which one answered."""

from serving.client.async_client import AsyncClient
from serving.client.classified import Classified
from serving.client.picker import ReplicaState
from serving.client.sync_client import Client
from serving.messages import Metadata

__all__ = ["AsyncClient", "Classified", "Client", "Metadata", "ReplicaState"]
