"""Model versions to hand over: the exported model, and the model card beside it."""
