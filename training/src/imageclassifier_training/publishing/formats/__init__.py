"""Other formats of an exported model, each compared with the SavedModel before it is published."""
