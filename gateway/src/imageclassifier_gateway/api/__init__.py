"""The HTTP API and the page: what a client may send, and what it gets back."""
