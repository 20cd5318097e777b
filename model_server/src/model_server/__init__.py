"""A stand-in for TensorFlow Serving on machines that cannot pull its image: see README.md."""
