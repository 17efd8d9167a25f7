"""Why an engine's environment cannot be had.

* EnvironmentFailed
  - UnknownEnvironment   this build has no requirement set for the engine, version and variant
  - IndexUnreachable     the package index does not answer; trying again may help
  - IndexIncomplete      the index answers, but has not what is locked, or has other bytes under its name
  - EnvironmentDiskFull  no room for it
  - EnvironmentUnusable  it is complete, and the engine cannot be imported on this machine
"""

from inferry.local.errors import LocalError


class EnvironmentFailed(LocalError):
    pass


class UnknownEnvironment(EnvironmentFailed):
    pass


class IndexUnreachable(EnvironmentFailed):
    pass


class IndexIncomplete(EnvironmentFailed):
    pass


class EnvironmentDiskFull(EnvironmentFailed):
    pass


class EnvironmentUnusable(EnvironmentFailed):
    pass
