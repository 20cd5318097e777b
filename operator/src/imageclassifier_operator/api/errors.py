"""The one error of this package."""


class InvalidSpec(ValueError):  # noqa: N818 - the name of the condition's reason
    """A spec that cannot be carried out; its text is the sentence that the user reads in the condition."""
