"""A model in a directory or an image: what it is, and the manifest of an ImageClassifier that serves it."""
