"""Typed access to the metadata of a GGUF: every look-up gives what was asked for or a MalformedFile."""

from inferry_runtime.model.errors import MalformedFile
from inferry_runtime.model.gguf import GgufHeader, Value

# The deepest published model has 162 layers.
MAX_LAYERS = 4096
MAX_NUMBER = 1 << 40


class GgufKeys:
    """`architecture` is put in front of keys that begin with a dot."""

    def __init__(self, file: str, header: GgufHeader) -> None:
        self.file = file
        self.header = header
        self.architecture = self.text("general.architecture")

    def has(self, key: str) -> bool:
        return self._get(key) is not None or self._full(key) in self.header.lengths

    def text(self, key: str) -> str:
        """ "" when it is absent, too long to be kept, or no string."""
        value = self._get(key)
        return value if isinstance(value, str) else ""

    def flag(self, key: str) -> bool | None:
        value = self._get(key)
        return value if isinstance(value, bool) else None

    def natural(self, key: str) -> int | None:
        """A number between 0 and MAX_NUMBER; of a list per layer the largest."""
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, tuple):
            return max((self._checked(key, item) for item in value), default=None)
        return self._checked(key, value)

    def positive(self, key: str) -> int | None:
        """Like `natural`, with 0 as absent."""
        return self.natural(key) or None

    def layers(self) -> int:
        """Layers of the model proper, without those that only predict further tokens."""
        count = self.natural(".block_count") or 0
        if count > MAX_LAYERS:
            raise self._wrong(".block_count", f"at most {MAX_LAYERS}")
        return max(0, count - (self.natural(".nextn_predict_layers") or 0))

    def per_layer(self, key: str, layers: int) -> tuple[int, ...] | None:
        """One number per layer: a list as it is, a single number repeated."""
        value = self._get(key)
        if value is None:
            return None
        if not isinstance(value, tuple):
            return (self._checked(key, value),) * layers
        if len(value) < layers:
            raise self._wrong(key, f"a list of {layers} numbers")
        return tuple(self._checked(key, item) for item in value[:layers])

    def entries(self, key: str) -> int | None:
        """How many entries a list has, kept or not."""
        value = self._get(key)
        return len(value) if isinstance(value, tuple) else self.header.lengths.get(self._full(key))

    def _get(self, key: str) -> Value | None:
        return self.header.metadata.get(self._full(key))

    def _full(self, key: str) -> str:
        return f"{self.architecture}{key}" if key.startswith(".") else key

    def _checked(self, key: str, value: Value) -> int:
        # Negative numbers mean "none" in files of older converters.
        if isinstance(value, bool):
            return int(value)
        if not isinstance(value, int) or value > MAX_NUMBER:
            raise self._wrong(key, f"a whole number up to {MAX_NUMBER}")
        return max(0, value)

    def _wrong(self, key: str, wanted: str) -> MalformedFile:
        return MalformedFile(f"{self.file}: {self._full(key)} is not {wanted}", hint="use another copy of the file")
