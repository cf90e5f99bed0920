"""Ask about images, many of them: read and prepare them, ask a fleet or a gateway, give the answers in their order.

`fleet_asker` and `gateway_asker` ask about one image. `in_order` does that for a stream of files, a few at a time.
"""
