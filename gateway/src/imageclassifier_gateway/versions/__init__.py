"""The versions of the model: which one gets a request, the calls to its pods, and their failures."""
