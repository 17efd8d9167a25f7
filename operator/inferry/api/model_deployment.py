"""`ModelDeployment` v1alpha1: what a user writes. Everything left out is decided and shown in status."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from inferry.api.status import DeploymentStatus
from inferry_runtime.hardware import Vendor
from inferry_runtime.model.facts import Task
from inferry_runtime.order import IntegrityPolicy

GROUP: Final = "inferry.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "inferry.dev/v1alpha1"
KIND: Final = "ModelDeployment"


class Record(BaseModel):
    """Strict at the border: camelCase in YAML, unknown fields refused, immutable inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


Scalar = str | int | float | bool

IntOrString = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    WithJsonSchema({"x-kubernetes-int-or-string": True}),
]
"""Whole numbers need no quotes: `cpu: 4` says the same as `cpu: "4"`."""

FormatName = Annotated[str, Field(json_schema_extra={"enum": ["safetensors", "gguf"]})]
TaskName = Annotated[str, Field(json_schema_extra={"enum": [task.value for task in Task]})]
VendorName = Annotated[str, Field(json_schema_extra={"enum": [*(vendor.value for vendor in Vendor), "cpu"]})]
"""An API server refuses other words by the schema; elsewhere `validate` does, and says which is nearest."""

ShortText = Annotated[str, Field(max_length=253)]
LongText = Annotated[str, Field(max_length=2048)]
"""Bounds let an API server tell what its rules cost; no URI or image reference in use comes near."""


class FileSelection(Record):
    include: tuple[str, ...] = Field(
        default=(), description="Glob patterns; a file must match one of them. Empty: all."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Glob patterns; a file matching one is left out.")


class SecretReference(Record):
    name: str = Field(
        description="Secret in the same namespace, on one machine INFERRY_HOME/secrets/NAME.yaml. What opens the "
        "source is read from it: HF_TOKEN, MODELSCOPE_API_TOKEN or token; AWS_, GOOGLE_ or AZURE_ keys for object "
        "stores."
    )


class Integrity(Record):
    policy: IntegrityPolicy = Field(
        default=IntegrityPolicy.VERIFY,
        description="Verify refuses bytes that differ from the digests, Record notes and serves them, Off looks away.",
    )
    allow_unsafe_formats: bool = Field(
        default=False, description="Allow pickle weights, which can run code when loaded."
    )


class Model(Record):
    source: LongText | None = Field(
        default=None,
        description="URI: hf://org/repo[@revision], modelscope://, https://, s3://, gs://, az://, file:// or a path.",
    )
    name: ShortText | None = Field(default=None, description="A model family of the catalog, instead of a source.")
    size: IntOrString | None = Field(
        default=None, description="With name: size in billions of parameters, such as 0.5 or 7."
    )
    format: FormatName | None = Field(default=None, description="safetensors or gguf, where the source offers both.")
    quantization: str | None = Field(default=None, description="Which quantization, where the source offers several.")
    hub: Literal["hf", "modelscope"] | None = Field(default=None, description="With name: where to take it from.")
    revision: str | None = Field(default=None, description="Branch, tag or commit; pinned to a commit in status.")
    files: FileSelection = Field(default_factory=FileSelection, description="Which files of the source to use.")
    secret_ref: SecretReference | None = Field(default=None, description="Credentials for a gated or private source.")
    mirror: LongText | None = Field(default=None, description="Endpoint to use instead of the hub's own.")
    integrity: Integrity = Field(default_factory=Integrity, description="How bytes are checked before they are served.")
    tasks: tuple[TaskName, ...] = Field(
        default=(), description="What to serve it for; inferred from the files when empty."
    )


class EnvironmentVariable(Record):
    name: str = Field(min_length=1, max_length=253, description="Name of the variable.")
    value: str = Field(default="", description="Value of the variable.")


class EngineChoice(Record):
    name: ShortText | None = Field(
        default=None, description="vllm, sglang, llamacpp, transformers or mlx. Empty: chosen."
    )
    version: str | None = Field(
        default=None, description="A version of the catalog. Empty: its default, pinned in status."
    )
    image: LongText | None = Field(default=None, description="Container image instead of the catalog's; needs name.")
    args: dict[str, Scalar] = Field(
        default_factory=dict,
        description="Engine arguments by the engine's own names, nested by dots, checked against its version.",
    )
    extra_args: tuple[str, ...] = Field(default=(), description="Raw arguments appended unchecked.")
    env: tuple[EnvironmentVariable, ...] = Field(default=(), description="Environment of the engine process.")
    context_length: int | None = Field(default=None, ge=1, description="Tokens one request may use.")


class AcceleratorRequest(Record):
    product: str | None = Field(default=None, description="Product name or part of it, such as L4. Empty: any.")
    vendor: VendorName | None = Field(default=None, description="nvidia, amd, intel, ascend, apple; or cpu for none.")
    count: int = Field(default=1, ge=0, description="Devices per replica.")


class Amounts(Record):
    cpu: IntOrString | None = Field(default=None, description="Kubernetes quantity, such as 500m or 4.")
    memory: IntOrString | None = Field(default=None, description="Kubernetes quantity, such as 8Gi.")


class Resources(Record):
    accelerators: tuple[AcceleratorRequest, ...] = Field(
        default=(), description="Ordered alternatives; the first that fits is used. Empty: chosen."
    )
    requests: Amounts = Field(
        default_factory=Amounts, description="What one replica is promised. Empty: from the memory estimate."
    )
    limits: Amounts = Field(default_factory=Amounts, description="What one replica may use at most.")


class DeploymentSpec(Record):
    model: Model = Field(description="Which model. Needs source or name.")
    served_names: tuple[ShortText, ...] = Field(
        default=(), max_length=16, description="Values of `model` clients send. Empty: the object's name."
    )
    engine: EngineChoice = Field(
        default_factory=EngineChoice, description="What serves it. Empty: chosen from the model's own files."
    )
    resources: Resources = Field(
        default_factory=Resources, description="What one replica runs on. Empty: chosen from what there is."
    )
    replicas: int = Field(default=1, ge=0, description="How many replicas answer.")
    suspend: bool = Field(default=False, description="Stop all replicas and keep the object.")


class Metadata(BaseModel):
    """Only what inferry reads; Kubernetes' other fields are kept as they are."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    name: str = Field(min_length=1, max_length=253)
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ModelDeployment(Record):
    api_version: Literal["inferry.dev/v1alpha1"] = API_VERSION
    kind: Literal["ModelDeployment"] = KIND
    metadata: Metadata
    spec: DeploymentSpec
    status: DeploymentStatus | None = None

    @property
    def served_names(self) -> tuple[str, ...]:
        """What clients may call it, the object's own name when nothing was said."""
        return self.spec.served_names or (self.metadata.name,)
