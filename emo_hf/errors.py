"""The one exception that stands for a mistake in the user's input."""


class UserError(ValueError):
    """A mistake in a file or an argument, said in one line: what is wrong, where, what is allowed, what to do.

    Recipes print its message and exit with status 2; a traceback would only hide it.
    """
