"""echosyn: turn private echocardiogram videos into a synthetic dataset, with a privacy audit.

The names below load on first use: ``import echosyn`` itself imports nothing heavy.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from echosyn.api.datasets import ClipDataset, EchoDataset, EchoVideo, load_dataset
    from echosyn.api.pipelines import EchoPipeline, Still, load_pipeline
    from echosyn.api.runs import AuditResult, EvaluateResult, GenerateResult, audit, evaluate, generate

_HOMES = {
    "echosyn.api.datasets": ("ClipDataset", "EchoDataset", "EchoVideo", "load_dataset"),
    "echosyn.api.pipelines": ("EchoPipeline", "Still", "load_pipeline"),
    "echosyn.api.runs": ("AuditResult", "EvaluateResult", "GenerateResult", "audit", "evaluate", "generate"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AuditResult",
    "ClipDataset",
    "EchoDataset",
    "EchoPipeline",
    "EchoVideo",
    "EvaluateResult",
    "GenerateResult",
    "Still",
    "__version__",
    "audit",
    "evaluate",
    "generate",
    "load_dataset",
    "load_pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'echosyn' has no attribute {name!r}; it offers {', '.join(sorted(_HOME_OF))}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
