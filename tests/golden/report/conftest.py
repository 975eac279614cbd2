from types import ModuleType

import pytest
import report_inputs

from heatdrift.report import ReportInput


@pytest.fixture(scope="session")
def builders() -> ModuleType:
    return report_inputs


@pytest.fixture(scope="session")
def study() -> ReportInput:
    return report_inputs.simulated()


@pytest.fixture(scope="session")
def small() -> ReportInput:
    return report_inputs.with_everything(report_inputs.simulated(datasets=("textures",), seeds=2))


@pytest.fixture(scope="session")
def reference() -> ReportInput:
    found = report_inputs.reference()
    if found is None:
        pytest.skip("../shared/records/vitb16 is absent")
    return found
