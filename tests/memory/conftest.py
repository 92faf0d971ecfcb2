"""The tests of stores, adapters and the memory run on the same back ends."""

from tests.stores.conftest import clean_redis, redis_url, store, store_url

__all__ = ["clean_redis", "redis_url", "store", "store_url"]
