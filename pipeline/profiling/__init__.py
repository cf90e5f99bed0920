"""How fast a model server answers: what is measured, how requests are sent, and what follows from the numbers.

Pure, without a clock or a socket: `latencies`, `measurement`, `plan` and `choice`. Requests are sent by `load`, in the
order that `sweep` says, to servers that `embedded_server` starts or a person names. `table` and `plot` show it.
"""
