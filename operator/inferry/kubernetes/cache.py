"""What a reflector knows: views by uid, and by the deployment they belong to. Says which deployments changed."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from inferry.control.world import Key


class Kept(Protocol):
    @property
    def uid(self) -> str: ...


class OfDeployment(Kept, Protocol):
    @property
    def key(self) -> Key: ...


V = TypeVar("V", bound=Kept)
D = TypeVar("D", bound=OfDeployment)


W_contra = TypeVar("W_contra", bound=Kept, contravariant=True)


class Sink(Protocol[W_contra]):
    def replace(self, items: Mapping[str, W_contra]) -> None:
        """Everything there is; what is missing is gone."""
        ...

    def put(self, item: W_contra) -> None: ...

    def drop(self, uid: str) -> None: ...


class Collected(Generic[V]):
    """`items` by uid; `changed` is called after anything of it differs."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.items: dict[str, V] = {}
        self._changed = changed

    def replace(self, items: Mapping[str, V]) -> None:
        if self.items != items:
            self.items = dict(items)
            self._changed()

    def put(self, item: V) -> None:
        if self.items.get(item.uid) != item:
            self.items[item.uid] = item
            self._changed()

    def drop(self, uid: str) -> None:
        if self.items.pop(uid, None) is not None:
            self._changed()


class ByDeployment(Generic[D]):
    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._items: dict[str, D] = {}
        self._of: dict[Key, dict[str, D]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def of(self, key: Key) -> tuple[D, ...]:
        return tuple(self._of.get(key, {}).values())

    def keys(self) -> Iterable[Key]:
        return self._of.keys()

    def replace(self, items: Mapping[str, D]) -> None:
        for uid in [uid for uid in self._items if uid not in items]:
            self.drop(uid)
        for item in items.values():
            self.put(item)

    def put(self, item: D) -> None:
        known = self._items.get(item.uid)
        if known == item:
            return
        if known is not None and known.key != item.key:
            self.drop(item.uid)
        self._items[item.uid] = item
        self._of.setdefault(item.key, {})[item.uid] = item
        self._changed(item.key)

    def drop(self, uid: str) -> None:
        item = self._items.pop(uid, None)
        if item is None:
            return
        siblings = self._of[item.key]
        del siblings[uid]
        if not siblings:
            del self._of[item.key]
        self._changed(item.key)
