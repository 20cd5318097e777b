"""The errors that end a batch. Their messages say what is wrong, why, and what to do."""


class BatchRefusedError(Exception):
    """The batch cannot succeed as it was asked for. A retry would not help."""


class BatchInterruptedError(Exception):
    """The batch cannot continue now. Another run continues it."""
