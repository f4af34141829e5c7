"""What runs in an actor. Ray gets the class itself and not its name, so that a node without echosyn can say so."""

from typing import Any


def worker() -> type:
    """The class of actors."""

    class Worker:
        def begin(self, version: str, paths: list[str], steps: bytes, gpu: bool) -> tuple[str, Any]:
            """Load what the steps need: ``{number: works}``, pickled."""
            import os
            import pickle
            import socket
            import sys

            sys.path.extend(path for path in paths if path not in sys.path)
            if not gpu:
                os.environ["CUDA_VISIBLE_DEVICES"] = ""
            where = socket.gethostname()
            try:
                import echosyn
            except ImportError as error:
                return "alien", f"node {where} has no echosyn ({error}); expected {version}: install it there"
            if echosyn.__version__ != version:
                return "alien", f"node {where} has echosyn {echosyn.__version__}, expected {version}: install it there"
            from echosyn.apps.ray.worker import attempt, begun

            self._steps: dict[int, Any] = {}
            self._known = getattr(self, "_known", [])

            def begin() -> None:
                self._steps = begun(pickle.loads(steps), self._known)

            return attempt(begin)

        def do(self, step: int, value: bytes) -> tuple[str, Any]:
            """One step of one item."""
            import pickle

            from echosyn.apps.ray.worker import attempt

            return attempt(lambda: self._steps[step](pickle.loads(value)))

    return Worker


def begun(steps: dict[int, Any], known: list[tuple[Any, Any]]) -> dict[int, Any]:
    """Functions that do each step; those of the last few works are ``known`` and begin no second time."""
    import torch

    from echosyn.pipeline.workers.executors import kept_or_started

    torch.set_num_threads(1)
    return {number: kept_or_started(works, known) for number, works in steps.items()}


def attempt(function: Any) -> tuple[str, Any]:
    """``("result", pickled)``; a mistake as itself, ``("mistake", pickled)``; another fault as ``("fault", traceback)``."""
    import pickle
    import traceback

    from echosyn.errors import EchosynError

    try:
        return "result", pickle.dumps(function())
    except (EchosynError, OSError) as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001 (whatever an exception's constructor does)
            return "fault", traceback.format_exc()
        return "mistake", pickle.dumps(error)
    except Exception:  # noqa: BLE001 (it is raised again where the work was ordered)
        return "fault", traceback.format_exc()
