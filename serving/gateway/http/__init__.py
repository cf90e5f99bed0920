"""What carries HTTP: the server, its connections and how it stops, and the parts of ASGI that layers use."""
