"""What every store must do. Subclass :class:`StoreContract` in a test module and give it a fixture ``store``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, MetaData, String, Table, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store import Store, StoreClosed

METADATA = MetaData()
accounts = Table(
    "contract_accounts",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("balance", BigInteger, nullable=False),
)
entries = Table(
    "contract_entries",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(64), ForeignKey("contract_accounts.name"), nullable=False),
)


class Refused(Exception):
    """Raised by the functions under test."""


def put(name: str, balance: int = 0) -> Callable[[Connection], str]:
    """A write that adds an account."""

    def run(tx: Connection) -> str:
        tx.execute(insert(accounts).values(name=name, balance=balance))
        return name

    return run


def names(connection: Connection) -> list[str]:
    """All accounts."""
    return list(connection.execute(select(accounts.c.name).order_by(accounts.c.name)).scalars())


def count(connection: Connection) -> int:
    """How many accounts there are."""
    return connection.execute(select(func.count()).select_from(accounts)).scalar_one()


class StoreContract:
    """The suite."""

    @pytest.fixture(autouse=True)
    def _tables(self, store: Store) -> None:
        store.write(METADATA.create_all)

    def test_a_write_returns_its_functions_result_and_the_next_read_sees_it(self, store: Store) -> None:
        assert store.write(put("a")) == "a"
        assert store.read(names) == ["a"]

    def test_a_write_that_raises_leaves_nothing_and_raises_the_same_exception(self, store: Store) -> None:
        refusal = Refused("no")

        def refuse(tx: Connection) -> None:
            put("a")(tx)
            raise refusal

        with pytest.raises(Refused) as caught:
            store.write(refuse)
        assert caught.value is refusal
        assert store.read(names) == []

    def test_a_failure_takes_no_other_callers_write_with_it(self, store: Store) -> None:
        def attempt(number: int) -> bool:
            def run(tx: Connection) -> bool:
                put(f"{number:03}")(tx)
                if number % 3 == 0:
                    raise Refused
                return True

            try:
                return store.write(run)
            except Refused:
                return False

        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(attempt, range(60)))
        assert outcomes == [number % 3 != 0 for number in range(60)]
        assert store.read(names) == [f"{number:03}" for number in range(60) if number % 3]

    def test_a_broken_constraint_reaches_its_caller_and_the_store_goes_on(self, store: Store) -> None:
        store.write(put("a"))
        with pytest.raises(IntegrityError):
            store.write(put("a"))
        store.write(put("b"))
        assert store.read(names) == ["a", "b"]

    def test_foreign_keys_hold(self, store: Store) -> None:
        with pytest.raises(IntegrityError):
            store.write(lambda tx: tx.execute(insert(entries).values(id=1, account="nobody")))

    def test_a_savepoint_inside_a_write_rolls_back_alone(self, store: Store) -> None:
        def run(tx: Connection) -> None:
            put("kept")(tx)
            savepoint = tx.begin_nested()
            put("undone")(tx)
            savepoint.rollback()
            put("also kept")(tx)

        store.write(run)
        assert store.read(names) == ["also kept", "kept"]

    def test_concurrent_writes_happen_as_if_one_after_the_other(self, store: Store) -> None:
        store.write(put("shared", 0))

        def add_one(_: int) -> None:
            def run(tx: Connection) -> None:
                balance = tx.execute(select(accounts.c.balance).where(accounts.c.name == "shared")).scalar_one()
                tx.execute(update(accounts).where(accounts.c.name == "shared").values(balance=balance + 1))

            store.write(run)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add_one, range(80)))
        assert store.read(lambda c: c.execute(select(accounts.c.balance)).scalar_one()) == 80

    def test_of_many_that_look_before_they_insert_one_wins(self, store: Store) -> None:
        def claim(number: int) -> bool:
            def run(tx: Connection) -> bool:
                if count(tx):
                    return False
                put(f"winner {number}")(tx)
                return True

            return store.write(run)

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(claim, range(24))) == 1
        assert store.read(count) == 1

    def test_a_read_is_one_snapshot(self, store: Store) -> None:
        store.write(put("a"))

        def look(connection: Connection) -> tuple[int, int]:
            before = count(connection)
            writer = threading.Thread(target=store.write, args=(put("b"),))
            writer.start()
            writer.join()
            return before, count(connection)

        assert store.read(look) == (1, 1)
        assert store.read(count) == 2

    def test_a_read_does_not_wait_for_a_writer(self, store: Store) -> None:
        inside, leave = threading.Event(), threading.Event()

        def slow(tx: Connection) -> None:
            put("slow")(tx)
            inside.set()
            assert leave.wait(30)

        writer = threading.Thread(target=store.write, args=(slow,))
        writer.start()
        assert inside.wait(30)
        try:
            assert store.read(names) == []
        finally:
            leave.set()
            writer.join()
        assert store.read(names) == ["slow"]

    def test_a_read_cannot_write(self, store: Store) -> None:
        with pytest.raises(DBAPIError):
            store.read(put("a"))
        assert store.read(names) == []
        store.write(put("b"))

    def test_a_read_that_raises_leaves_the_store_usable(self, store: Store) -> None:
        def refuse(_: Connection) -> None:
            raise Refused

        for _ in range(3):
            with pytest.raises(Refused):
                store.read(refuse)
        assert store.read(count) == 0

    def test_a_read_inside_a_read_sees_the_same_snapshot(self, store: Store) -> None:
        def outer(connection: Connection) -> int:
            count(connection)
            writer = threading.Thread(target=store.write, args=(put("late"),))
            writer.start()
            writer.join()
            return store.read(count)

        assert store.read(outer) == 0

    def test_the_store_refuses_to_be_called_from_inside_a_write(self, store: Store) -> None:
        with pytest.raises(Fault, match="inside write"):
            store.write(lambda tx: store.write(put("inner")))
        with pytest.raises(Fault, match="inside write"):
            store.write(lambda tx: store.read(count))
        assert store.read(count) == 0

    def test_the_store_refuses_a_write_that_rests_on_a_snapshot(self, store: Store) -> None:
        with pytest.raises(Fault, match="snapshot"):
            store.read(lambda connection: store.write(put("a")))
        store.write(put("b"))
        assert store.read(names) == ["b"]

    def test_hooks_run_after_the_commit_and_before_write_returns(self, store: Store) -> None:
        seen: list[list[str]] = []
        finished: list[bool] = []

        def look() -> None:
            # A hook must not call the store itself, so somebody else looks.
            with ThreadPoolExecutor(1) as pool:
                seen.append(pool.submit(store.read, names).result())

        def run(tx: Connection) -> None:
            put("a")(tx)
            store.after_commit(look)
            store.after_commit(lambda: finished.append(True))
            assert seen == []

        store.write(run)
        assert seen == [["a"]]
        assert finished == [True]

    def test_hooks_of_a_write_that_raises_do_not_run(self, store: Store) -> None:
        called: list[int] = []

        def refuse(tx: Connection) -> None:
            store.after_commit(lambda: called.append(1))
            raise Refused

        with pytest.raises(Refused):
            store.write(refuse)
        store.write(put("a"))
        assert called == []

    def test_a_hook_that_fails_does_not_undo_a_durable_write(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            raise Refused("in the hook")

        def run(tx: Connection) -> None:
            put("a")(tx)
            store.after_commit(fail)

        store.write(run)
        assert store.read(names) == ["a"]
        assert "in the hook" in caplog.text

    def test_after_commit_outside_of_a_write_is_refused(self, store: Store) -> None:
        with pytest.raises(Fault, match="outside of write"):
            store.after_commit(lambda: None)

    def test_values_come_back_as_they_went_in(self, store: Store) -> None:
        name = "Grüße \U0001f33f 'quoted' %s ? \\"
        store.write(put(name, 2**62))
        row = store.read(lambda connection: connection.execute(select(accounts)).one())
        assert tuple(row) == (name, 2**62)

    def test_a_closed_store_refuses_and_may_be_closed_again(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreClosed):
            store.write(put("a"))
        with pytest.raises(StoreClosed):
            store.read(count)

    def test_closing_finishes_the_writes_it_accepted(self, store: Store) -> None:
        inside, leave = threading.Event(), threading.Event()
        outcomes: list[str] = []

        def slow(tx: Connection) -> str:
            inside.set()
            assert leave.wait(30)
            return put("accepted")(tx)

        writer = threading.Thread(target=lambda: outcomes.append(store.write(slow)))
        writer.start()
        assert inside.wait(30)
        closer = threading.Thread(target=store.close)
        closer.start()
        leave.set()
        writer.join()
        closer.join()
        assert outcomes == ["accepted"]

    def test_statistics_count_transactions(self, store: Store) -> None:
        before = store.stats()
        for number in range(3):
            store.write(put(str(number)))
        after = store.stats()
        assert after.transactions - before.transactions == 3
        assert 1 <= after.commits - before.commits <= 3

    def test_lease_time_moves_forward(self, store: Store) -> None:
        first = store.read(store.lease_time_us)
        assert store.read(store.lease_time_us) >= first > 0
