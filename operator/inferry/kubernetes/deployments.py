"""The ModelDeployments, as they were last seen or written. Kept as compact JSON and read when somebody asks: five
thousand of them are 20 MB like this and ten times that as models."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec
from pydantic import ValidationError

from inferry.api.model_deployment import ModelDeployment
from inferry.control.errors import Terminal
from inferry.control.world import Key

Document = dict[str, object]


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    served_names: tuple[str, ...] = ()


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _Spec = _Spec()


class _Kept(msgspec.Struct, frozen=True):
    document: bytes
    uid: str
    version: int
    created: str
    names: tuple[str, ...]


class Deployments:
    """`_holders`: served name -> every deployment that asks for it."""

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept] = {}
        self._holders: dict[str, set[Key]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._kept)

    def keys(self) -> Collection[Key]:
        return self._kept.keys()

    def uid(self, key: Key) -> str:
        """ "" when there is none."""
        kept = self._kept.get(key)
        return "" if kept is None else kept.uid

    def get(self, key: Key) -> ModelDeployment | None:
        """Raises Terminal for an object that this version does not understand."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        try:
            return ModelDeployment.model_validate_json(kept.document)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise Terminal(f"{key.namespace}/{key.name} cannot be read: {field}: {first['msg']}.") from error

    def put(self, document: Mapping[str, object]) -> frozenset[Key]:
        """Itself, and whoever else asks for one of its names, before or now. Nothing when it is older than what is
        known: answers to our own writes overtake the watch."""
        metadata = document["metadata"]
        if isinstance(metadata, Mapping):
            slim = {name: value for name, value in metadata.items() if name != "managedFields"}
            document = {**document, "metadata": slim}
        encoded = msgspec.json.encode(document)
        found = msgspec.json.decode(encoded, type=_Object)
        meta = found.metadata
        key = Key(meta.namespace, meta.name)
        known = self._kept.get(key)
        version = int(meta.resource_version) if meta.resource_version.isdecimal() else 0
        if known is not None and known.uid == meta.uid and version <= known.version:
            return frozenset()
        if meta.deletion_timestamp:
            # Whoever deleted it wants its parts gone first; it is as good as gone.
            return self.drop(key)
        others = self._forget_names(key)
        names = found.spec.served_names or (meta.name,)
        self._kept[key] = _Kept(encoded, meta.uid, version, meta.creation_timestamp, names)
        for name in names:
            others |= self._holders[name]
            self._holders[name].add(key)
        return frozenset({key} | others) if known is None or known.names != names else frozenset({key})

    def put_json(self, document: bytes | msgspec.Raw) -> frozenset[Key]:
        return self.put(msgspec.json.decode(document, type=Document))

    def drop(self, key: Key, uid: str = "") -> frozenset[Key]:
        """Itself and whoever asks for one of its names. With a uid only that incarnation."""
        kept = self._kept.get(key)
        if kept is None or (uid and kept.uid != uid):
            return frozenset()
        others = self._forget_names(key)
        del self._kept[key]
        return frozenset({key} | others)

    def holder(self, name: str) -> Key | None:
        """The oldest deployment that asks for this name has it."""
        return min(self._holders.get(name, ()), key=self._age, default=None)

    def older_holders(self, deployment: ModelDeployment) -> Iterable[tuple[str, Key]]:
        """Its served names that others have, and who."""
        mine = Key(deployment.metadata.namespace, deployment.metadata.name)
        for name in deployment.served_names:
            holder = self.holder(name)
            if holder is not None and holder != mine:
                yield name, holder

    def _age(self, key: Key) -> tuple[str, str, str]:
        return self._kept[key].created, key.namespace, key.name

    def _forget_names(self, key: Key) -> set[Key]:
        others: set[Key] = set()
        kept = self._kept.get(key)
        for name in kept.names if kept is not None else ():
            holders = self._holders[name]
            holders.discard(key)
            others |= holders
            if not holders:
                del self._holders[name]
        return others
