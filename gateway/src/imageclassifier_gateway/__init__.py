"""The HTTP gateway: classifies pictures, sent as bytes or as URLs, with TensorFlow Serving."""

#: The version of the distribution. It stands here and not in pyproject.toml, because a container has our code
#: without its metadata.
__version__ = "0.1.0"
