"""From a family's name to a source: the most widely runnable offer that has everything that was asked for."""

from collections.abc import Callable, Sequence

from inferry.catalog.catalog import Catalog, ModelFamily, ModelOffer, ModelSource, UnknownModel, nearest


def find_model(
    catalog: Catalog,
    name: str,
    *,
    size: str | None = None,
    format: str | None = None,
    quantization: str | None = None,
    hub: str | None = None,
) -> ModelSource:
    """What is left out is the family's first choice. Raises UnknownModel, naming what there is."""
    family = catalog.family(name)
    wanted_size = _size(family, size)
    offers = [offer for offer in family.offers if wanted_size in (offer.sizes or family.sizes)]
    offers = _narrow(family, "format", format, offers, lambda offer: (offer.format,))
    offers = _narrow(family, "quantization", quantization, offers, lambda offer: offer.quantizations)
    offers = _narrow(family, "hub", hub, offers, _hubs)
    return _source(offers[0], wanted_size, quantization, hub)


def _size(family: ModelFamily, wanted: str | None) -> str:
    """`0_5` and `0.5` are the same size, and so are `7` and `7b`."""
    if wanted is None:
        return family.sizes[0]
    plain = wanted.lower().removesuffix("b").replace("_", ".")
    if plain not in family.sizes:
        raise UnknownModel(
            f"{family.name} does not come in size {wanted}; it comes in {', '.join(family.sizes)} billion parameters.",
            nearest=nearest(plain, family.sizes),
        )
    return plain


def _narrow(
    family: ModelFamily,
    what: str,
    wanted: str | None,
    offers: Sequence[ModelOffer],
    words_of: Callable[[ModelOffer], Sequence[str]],
) -> list[ModelOffer]:
    if wanted is None:
        return list(offers)
    fitting = [offer for offer in offers if wanted.lower() in (word.lower() for word in words_of(offer))]
    if fitting:
        return fitting
    known = sorted({word for offer in offers for word in words_of(offer)})
    raise UnknownModel(
        f"{family.name} does not come with {what} {wanted} there; it comes with {', '.join(known)}.",
        nearest=nearest(wanted, known),
    )


def _hubs(offer: ModelOffer) -> tuple[str, ...]:
    return tuple(hub for hub, name in (("hf", offer.hf), ("modelscope", offer.modelscope)) if name)


def _source(offer: ModelOffer, size: str, quantization: str | None, hub: str | None) -> ModelSource:
    chosen_hub = hub or _hubs(offer)[0]
    wanted = (quantization or offer.quantizations[0]).lower()
    label = next(word for word in offer.quantizations if word.lower() == wanted)
    blanks = {"size": offer.ids.get(size, size), "quantization": label}
    repository = (offer.hf if chosen_hub == "hf" else offer.modelscope).format_map(blanks)
    return ModelSource(
        source=f"{chosen_hub}://{repository}",
        format=offer.format,
        quantization=label if offer.include else "",
        include=tuple(pattern.format_map(blanks) for pattern in offer.include),
        size=size,
    )
