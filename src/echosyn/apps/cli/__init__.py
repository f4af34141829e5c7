"""The command line: ``echosyn VERB IN... OUT``. A command parses, calls one function and prints one result."""

import sys
from collections.abc import Sequence

AGAIN = 75
"""As sendmail's EX_TEMPFAIL: whoever began the command may begin it again."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake is one message and exit code 2, a bug is a traceback and exit code 1.

    Exit code 75: workers or a cluster gave way, the same command continues.
    """
    from echosyn.apps.cli.legacy_flags import translated
    from echosyn.apps.cli.verbs import app
    from echosyn.errors import EchosynError, StoppedError

    try:
        app(translated(sys.argv[1:] if arguments is None else arguments), standalone_mode=True)
    except EchosynError as error:
        sys.stderr.write(f"error: {_one_line_if_one_problem(str(error))}\n")
        sys.exit(AGAIN if isinstance(error, StoppedError) else 2)
    except (PermissionError, NotADirectoryError) as error:
        reason = (error.strerror or "not usable").lower()
        sys.stderr.write(
            f"error: {error.filename}: {reason}; expected a readable and writable path: check its permissions or "
            "choose another\n"
        )
        sys.exit(2)
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"stopped{f': {stop}' if str(stop) else '; run the same command again to continue'}\n")
        sys.exit(130)


def _one_line_if_one_problem(message: str) -> str:
    """A table of one row, on the line of its head."""
    head, *rows = message.splitlines()
    return f"{head} {rows[0].strip()}" if len(rows) == 1 else message
