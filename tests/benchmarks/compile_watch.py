"""The service, saying how many kernel signatures are compiled: when it is ready and at its end.

Arguments: seconds to serve after the warm-up. Settings come from the environment, as for `volgauge
run`. Prints {"ready": N}, then {"end": N}.
"""

import json
import sys

from volgauge import process
from volgauge.app import Service
from volgauge.kernels._jit import compiled_count
from volgauge.settings import load


def main() -> None:
    """Serve for a while."""
    seconds = float(sys.argv[1])

    def announce(_service: Service) -> None:
        say("ready")

    code = process.serve(load(), stop_after_seconds=seconds, announce=announce)
    if code:
        sys.exit(code)
    say("end")


def say(when: str) -> None:
    """One line."""
    sys.stdout.write(json.dumps({when: compiled_count()}) + "\n")
    sys.stdout.flush()


main()
