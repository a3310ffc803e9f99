"""NetSpec for counting: a net's text is one line for each layer, type and bottoms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Top:
    def __init__(self, layer: str, bottoms: tuple[Top, ...]) -> None:
        self.layer, self.bottoms = layer, bottoms


class Layers:
    """`layers.AnyType(*bottoms, ntop=1, **settings)`: one top, or a tuple of them."""

    def __getattr__(self, layer: str) -> Callable[..., Any]:
        def make(*bottoms: Top, ntop: int = 1, **settings: Any) -> Any:
            tops = tuple(Top(layer, bottoms) for _ in range(ntop))
            return tops[0] if ntop == 1 else tops

        return make


class Enum:
    """`params.Pooling.MAX`: the name itself."""

    def __getattr__(self, name: str) -> Any:
        return name if name.isupper() else Enum()


layers, params = Layers(), Enum()


class NetSpec:
    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, top: Top) -> None:
        self.tops[name] = top

    def __getattr__(self, name: str) -> Top:
        return self.tops[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__

    def to_proto(self) -> str:
        return "\n".join(f"{name}: {top.layer}/{len(top.bottoms)}" for name, top in self.tops.items())


def to_proto(*tops: Top) -> str:
    return "\n".join(top.layer for top in tops)
