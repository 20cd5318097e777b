"""Models from elsewhere as model versions: loads them, finds out how they are called, and publishes them."""
