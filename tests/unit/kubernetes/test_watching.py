"""What kopf is allowed to do."""

from inferry.kubernetes.credentials import Credentials
from inferry.kubernetes.deployments import Deployments
from inferry.kubernetes.watching import registry, settings


async def nothing() -> None:
    return None


def test_kopf_has_handlers_of_events_only() -> None:
    handlers = registry(Credentials(server="http://127.0.0.1:1"), Deployments(), lambda keys: None, nothing)
    assert [handler.id for handler in handlers._watching.get_all_handlers()]
    assert not handlers._changing.get_all_handlers()
    assert not handlers._spawning.get_all_handlers()
    assert not handlers._indexing.get_all_handlers()


def test_kopf_neither_posts_nor_limits_its_workers() -> None:
    chosen = settings()
    assert chosen.posting.enabled is False
    assert chosen.queueing.worker_limit is None
    assert chosen.watching.inactivity_timeout is not None
    assert chosen.watching.inactivity_timeout > 60
