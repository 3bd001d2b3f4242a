"""What is wrong with a message, on its way to the sender. Law: it never leaves `decode`."""


class Unfit(Exception):  # noqa: N818 - not a fault: it carries words for the sender from where they are found
    """The message is malformed, and this says why."""
