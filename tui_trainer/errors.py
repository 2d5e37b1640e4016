"""What a person can do wrong, said so that they can put it right."""


class UserError(Exception):
    """A mistake that the person at the keyboard can mend.

    The message is one to three lines: the file, the key or value that is wrong, and the fix. The
    program prints it without a traceback and exits with code 2.
    """
