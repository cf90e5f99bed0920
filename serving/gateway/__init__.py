"""HTTP for people and programs that have an image and want its labels (docs/gateway.md).

A process in front of the model servers of one or several models. It loads no TensorFlow, and knows nothing of releases:
it asks for the label of the version that serves, so a promotion or a roll-back needs nothing of it.
"""
