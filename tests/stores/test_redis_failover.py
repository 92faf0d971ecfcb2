"""The Redis store while a replica takes over from a master that dies: Cluster, Sentinel, and a server that was demoted."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from optical_memory.errors import StoreUnavailable
from optical_memory.stores import SessionId
from optical_memory.stores.redis.key_names import Layout
from optical_memory.turns.turn import Turn
from tests.stores.redis_servers import HOST, Load, check_load, opened, redis_cluster, redis_server, wait_until, watched_servers

redis = pytest.importorskip("redis", reason="needs the redis extra")

pytestmark = pytest.mark.endurance

ALICE = SessionId("alice")
PATIENT = "replicas=1&retry_for=30&socket_timeout=1"


def turn(id: str) -> Turn:
    return Turn(id=id, role="user", content=f"what {id} says")


def meta_key(session: SessionId) -> str | bytes:
    return Layout().keys(session)[0]


@pytest.mark.parametrize("coverage", ["yes", "no"])
def test_a_cluster_loses_the_master_of_a_session_and_no_turn(tmp_path: Path, coverage: str) -> None:
    """The killed one comes back as a replica after the failover: until then nobody could confirm what its successor takes. With full
    coverage, the other masters refuse everything meanwhile."""
    sessions = [SessionId(f"session {place}") for place in range(6)]
    with redis_cluster(tmp_path, coverage) as cluster:
        master = cluster.owner(meta_key(sessions[0]))
        assert master is not None
        assert {cluster.owner(meta_key(session)) for session in sessions} > {master}
        with Load(cluster.url(PATIENT), sessions, writers=6) as load:
            load.wait_for(30)
            master.kill()
            wait_until(lambda: cluster.owner(meta_key(sessions[0])), "failover")
            master.start()
            load.wait_for(30)
        assert load.failures == []
        check_load(load, cluster.url(PATIENT))


def test_sentinels_promote_a_replica_and_no_turn_is_lost(tmp_path: Path) -> None:
    """Two replicas: the one that is left confirms what the other takes as a master."""
    with watched_servers(tmp_path, replicas=2, sentinels=3) as group:
        master = group.master()
        with Load(group.url(PATIENT), [ALICE, SessionId("bob")], writers=4) as load:
            load.wait_for(30)
            master.kill()
            load.wait_for(30)
        wait_until(lambda: group.master() is not master, "all sentinels agree")
        assert load.failures == []
        check_load(load, group.url(PATIENT))


def test_without_a_replica_nothing_is_confirmed(tmp_path: Path) -> None:
    """One sentinel, one replica that dies: an append raises, since one copy is not what was asked for; done again later, it is one turn."""
    with watched_servers(tmp_path, replicas=1, sentinels=1) as group:
        hasty, patient = (opened(group.url(f"replicas=1&retry_for={seconds}")) for seconds in (0.5, 20))
        patient.append(ALICE, [turn("a")])  # a replica's first word can take a second
        group.servers[1].kill()
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            hasty.append(ALICE, [turn("b")])
        group.servers[1].start()
        with group.servers[1].client() as client:
            client.replicaof(HOST, group.servers[0].port)
        wait_until(lambda: group.servers[0].replicas() == 1, "the replica is back")
        assert patient.append(ALICE, [turn("b")])[0].number == 2
        assert [each.id for each in patient.read(ALICE)] == ["a", "b"]
        patient.close()
        hasty.close()


def test_what_a_successor_never_saw_is_not_confirmed(tmp_path: Path) -> None:
    """The master takes a turn while no replica hears of it, and dies while `WAIT` waits for one. Whatever its successor then confirms, an
    append that returns must be there."""
    with watched_servers(tmp_path, replicas=2, sentinels=3) as group:
        store = opened(group.url(PATIENT))
        store.append(ALICE, [turn("a")])
        master = group.master()
        replicas = [server for server in group.servers if server is not master]
        with master.client() as client:
            for replica in replicas:
                replica.signal(signal.SIGSTOP)
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
            answers: list[Turn] = []
            writer = threading.Thread(target=lambda: answers.extend(store.append(ALICE, [turn("b")])))
            writer.start()
            wait_until(lambda: client.llen(Layout().keys(ALICE)[1]) == 2, "the master has the turn")
        master.kill()
        for replica in replicas:
            replica.signal(signal.SIGCONT)
        writer.join()
        assert [each.number for each in answers] == [2]
        assert [each.id for each in store.read(ALICE)] == ["a", "b"]
        store.close()


def test_a_demoted_master_is_asked_again_until_it_may_write(tmp_path: Path) -> None:
    """As behind an address that moves to the new master a moment late."""
    with redis_server(tmp_path / "a") as server, redis_server(tmp_path / "b") as other, server.client() as client:
        store = opened(server.url("retry_for=20"))
        store.append(ALICE, [turn("a")])
        with other.client() as rival:
            rival.replicaof(HOST, server.port)
            wait_until(lambda: server.replicas() == 1, "the other has it all")
            rival.replicaof("NO", "ONE")
        client.replicaof(HOST, other.port)
        again = threading.Timer(0.5, client.replicaof, ("NO", "ONE"))
        again.start()
        began = time.monotonic()
        assert store.append(ALICE, [turn("b")])[0].number == 2
        assert time.monotonic() - began > 0.3
        again.join()
        store.close()
