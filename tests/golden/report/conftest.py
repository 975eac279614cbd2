import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from heatdrift.report import ReportInput


def _builders() -> ModuleType:
    name = "report_inputs"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, Path(__file__).resolve().parents[2] / "unit" / "report" / f"{name}.py"
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def builders() -> ModuleType:
    return _builders()


@pytest.fixture(scope="session")
def study() -> ReportInput:
    return _builders().simulated()


@pytest.fixture(scope="session")
def small() -> ReportInput:
    return _builders().simulated(datasets=("textures",), seeds=2)


@pytest.fixture(scope="session")
def reference() -> ReportInput:
    found = _builders().reference()
    if found is None:
        pytest.skip("../shared/records/vitb16 is absent")
    return found
