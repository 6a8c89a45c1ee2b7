"""Communities and API keys; on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import apikeys, communities, limits, states


def test_key_is_known_by_its_token_until_it_is_revoked(plane: Any) -> None:
    now = plane.clock.now()
    with plane.db.begin() as tx:
        other = communities.create(tx, name="other", now=now)
        key, token = apikeys.create(
            tx,
            communities=[plane.community.uuid, other.uuid],
            permissions=["SIC_READ_INTAKES", states.Permission.ADMIN],
            name="two",
            now=now,
        )
        assert apikeys.authenticate(tx, token, now) == key
        assert key.community_uuids == tuple(sorted([plane.community.uuid, other.uuid]))
        assert key.permissions == {states.Permission.SIC_READ_INTAKES, states.Permission.ADMIN}
        assert apikeys.list_all(tx, other.uuid) == [key]
        assert apikeys.list_all(tx) == [plane.key, key] or apikeys.list_all(tx) == [key, plane.key]
        revoked = apikeys.revoke(tx, key.uuid, now)
        plane.clock.advance(1)
        assert apikeys.revoke(tx, key.uuid, plane.clock.now()) == revoked
        with pytest.raises(errors.NotAuthenticated) as refused:
            apikeys.authenticate(tx, token, plane.clock.now())
    assert refused.value.code == "api_key_revoked"


def test_token_is_nowhere_in_the_database(plane: Any) -> None:
    with plane.db.begin() as tx:
        _, token = apikeys.create(
            tx, communities=[plane.community.uuid], permissions=["ADMIN"], name="k", now=plane.clock.now()
        )
    with plane.db.read() as tx:
        stored = repr(tx.execute(sa.text("SELECT * FROM api_keys")).all())
    assert token not in stored
    assert token.removeprefix(apikeys.TOKEN_PREFIX) not in stored
    assert len(token) == len(apikeys.TOKEN_PREFIX) + 43  # 32 random bytes


@pytest.mark.parametrize(
    ("token", "code"), [("", "api_key_missing"), (None, "api_key_missing"), ("pst_x", "api_key_unknown")]
)
def test_missing_and_unknown_tokens_are_refused(plane: Any, token: str | None, code: str) -> None:
    with plane.db.read() as tx, pytest.raises(errors.NotAuthenticated) as refused:
        apikeys.authenticate(tx, token, plane.clock.now())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"permissions": ["SUPERUSER"]}, "unknown_permission"),
        ({"permissions": []}, "no_permissions"),
        ({"communities": []}, "no_communities"),
        ({"communities": ["22222222-2222-2222-2222-222222222222"]}, "community_not_found"),
        ({"name": ""}, "invalid_api_key_name"),
    ],
)
def test_unusable_key_is_not_created(plane: Any, values: dict[str, Any], code: str) -> None:
    asked = {"communities": [plane.community.uuid], "permissions": ["ADMIN"], "name": "k", "now": plane.clock.now()}
    with pytest.raises(errors.PenstockError) as refused, plane.db.begin() as tx:
        apikeys.create(tx, **(asked | values))
    assert refused.value.code == code
    assert plane.count("api_keys") == 1


def test_unknown_key_cannot_be_revoked(plane: Any) -> None:
    with pytest.raises(errors.NotFound) as refused, plane.db.begin() as tx:
        apikeys.revoke(tx, "nobody", plane.clock.now())
    assert refused.value.code == "api_key_not_found"


def test_key_lacks_what_it_was_not_given(plane: Any) -> None:
    plane.key.require(states.Permission.SIC_MASSIVE_EXPORT_EVENTS)
    with pytest.raises(errors.PermissionMissing) as refused:
        plane.key.require(states.Permission.ADMIN)
    assert refused.value.extra["permission"] == "ADMIN"


def test_community_is_found_by_name_and_by_uuid(plane: Any) -> None:
    with plane.db.begin() as tx:
        # A name that is another's UUID must not shadow it.
        imposter = communities.create(tx, name=plane.community.uuid.upper(), now=plane.clock.now())
        assert communities.by_name_or_uuid(tx, "acme") == plane.community
        assert communities.by_name_or_uuid(tx, plane.community.uuid) == plane.community
        assert communities.by_name_or_uuid(tx, plane.community.uuid.upper()) == plane.community
        assert communities.list_all(tx, [imposter.uuid]) == [imposter]
        assert {each.name for each in communities.list_all(tx)} == {"acme", imposter.name}
        with pytest.raises(errors.NotFound, match="acme"):
            communities.by_name_or_uuid(tx, "nobody")
        with pytest.raises(errors.NotFound):
            communities.get(tx, "nobody")


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 201])
def test_name_that_nobody_could_read_is_refused(plane: Any, name: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refused, plane.db.begin() as tx:
        communities.create(tx, name=name, now=plane.clock.now())
    assert refused.value.code == "invalid_community_name"


def test_community_may_be_made_with_limits_of_its_own(plane: Any) -> None:
    with plane.db.begin() as tx:
        made = communities.create(tx, name="big", now=plane.clock.now(), limits=limits.Overrides(active_exports=4))
        assert limits.for_community(tx, made.uuid, plane.settings).active_exports == 4
        assert limits.overrides(tx, made.uuid) == limits.Overrides(active_exports=4)
        with pytest.raises(errors.NotFound):
            limits.set_for_community(tx, "nobody", limits.Overrides())


def test_racing_communities_of_one_name_give_one(plane: Any) -> None:
    outcomes = []
    barrier = threading.Barrier(8)

    def create() -> None:
        barrier.wait()
        try:
            with plane.db.begin() as tx:
                outcomes.append(communities.create(tx, name="same", now=plane.clock.now()).uuid)
        except errors.Conflict as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("community_name_taken") == 7
