"""Everything that talks to a model server, or is one."""
