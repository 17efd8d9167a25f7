"""Which home a verb works on, and whether inferry runs there."""

import os
from difflib import get_close_matches

from inferry.api.model_deployment import ModelDeployment
from inferry.cli.refusal import Refusal
from inferry.local import lock, objects
from inferry.local.errors import NotRunning
from inferry.local.home import Home, default_home
from inferry.local.lock import Holder


def here() -> Home:
    """The home the environment names."""
    return Home(default_home(os.environ))


def running(why: str) -> Holder:
    """The inferry that runs here. Raises NotRunning; `why` says what needs it."""
    holder = lock.holder(here().lock)
    if holder is None:
        reason = f", and {why}" if why else ""
        raise NotRunning(f"inferry is not running here{reason}", hint="start it with `inferry local`")
    return holder


def found(name: str) -> ModelDeployment:
    """The object of this name, with its status. Raises Refusal naming the nearest one."""
    listed = {deployment.metadata.name: deployment for deployment in objects.listed(here())}
    if name in listed:
        return listed[name]
    near = get_close_matches(name, listed, n=1)
    known = ", ".join(listed) or "none"
    hint = f"did you mean {near[0]!r}?" if near else f"known names: {known}"
    raise Refusal(f"there is no modeldeployment {name!r} here", hint=hint)
