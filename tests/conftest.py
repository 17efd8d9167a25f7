"""Fixtures that every room's tests may use."""

pytest_plugins = ("support.engine_env", "support.cluster")
