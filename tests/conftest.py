"""For all tests: Hypothesis does not measure time. On a busy machine its deadline fails claims that hold."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("penstock", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("penstock")
