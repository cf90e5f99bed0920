"""How fast the gateway is, next to its model server and next to the servers people would otherwise use."""
