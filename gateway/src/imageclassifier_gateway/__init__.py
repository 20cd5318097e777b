"""The HTTP gateway: takes a picture or its URL, asks TensorFlow Serving, and answers in words."""
