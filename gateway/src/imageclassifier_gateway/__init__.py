"""The HTTP gateway: takes a picture or its URL, asks TensorFlow Serving, and answers in words."""

#: The distribution's version; pyproject.toml reads it here, as a container holds our code
#: without its metadata.
__version__ = "0.1.0"
