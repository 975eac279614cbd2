from types import ModuleType

import pytest
import report_inputs

from heatdrift.report import ReportInput
from heatdrift.report.document import Document
from heatdrift.report.page import report_document


@pytest.fixture(scope="session")
def builders() -> ModuleType:
    return report_inputs


@pytest.fixture(scope="session")
def study() -> ReportInput:
    return report_inputs.simulated()


@pytest.fixture(scope="session")
def small() -> ReportInput:
    """One data set, two learning rates, two seeds: where a test draws a page of its own."""
    return report_inputs.simulated(datasets=("textures",), lrs=(1e-5, 1e-4), seeds=2)


@pytest.fixture(scope="session")
def document(small) -> Document:
    """The report of `small`: its charts take seconds to draw, so they are drawn once."""
    return report_document(small)


@pytest.fixture(scope="session")
def reference() -> ReportInput:
    found = report_inputs.reference()
    if found is None:
        pytest.skip("../shared/records/vitb16 is absent")
    return found
