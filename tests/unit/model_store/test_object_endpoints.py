"""Where an object store is believed to be."""

import pytest

from inferry_runtime.model.listing import Access
from inferry_runtime.model.objects import endpoint_of

SECRET = {"AWS_ENDPOINT_URL": "http://in.secret"}
ENVIRONMENT = {"AWS_ENDPOINT_URL": "http://in.environment"}


@pytest.mark.parametrize(
    ("access", "environment", "endpoint"),
    [
        pytest.param(Access(), {}, "", id="nobody says: the cloud's own"),
        pytest.param(Access(), ENVIRONMENT, "http://in.environment", id="the environment"),
        pytest.param(Access(credentials=SECRET), ENVIRONMENT, "http://in.secret", id="a secret before it"),
        pytest.param(Access(mirror="http://m", credentials=SECRET), ENVIRONMENT, "http://m", id="the deployment first"),
    ],
)
def test_the_nearest_word_on_the_endpoint_counts(access: Access, environment: dict[str, str], endpoint: str) -> None:
    assert endpoint_of(access, environment) == endpoint
