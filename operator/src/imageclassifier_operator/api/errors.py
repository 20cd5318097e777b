"""The error of an invalid spec."""


class InvalidSpec(ValueError):  # noqa: N818 - the name of the condition's reason
    """A spec on which the operator cannot act. Its text is the message of the condition."""
