"""The command line for ImageClassifiers: `kubectl imageclassifier`, and `imageclassifier` on its own.

It reaches the API server through kubectl, so it signs in as kubectl does, and needs nothing but the standard
library and rich.
"""
