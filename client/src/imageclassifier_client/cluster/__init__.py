"""The cluster: kubectl, requests to the API server through it, and the ImageClassifiers there."""
