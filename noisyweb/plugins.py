"""Parts that are added by adding one file.

Sources, kinds, providers, labelling backends, exporters and training methods each live in a package of
their own; a file there is a plug-in named like the file (``-`` for ``_``). Files whose name starts with an
underscore are shared code, not plug-ins. A plug-in is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from noisyweb.errors import UnknownNameError


def names(package: str) -> list[str]:
    """The plug-ins of a package, sorted, without importing any of them.

    Args:
        package: dotted name, such as ``"noisyweb.kinds"``.
    """
    paths = importlib.import_module(package).__path__
    found = (module.name for module in pkgutil.iter_modules(paths))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def load(package: str, thing: str, name: str) -> ModuleType:
    """Import one plug-in's module.

    Args:
        package: dotted name of the package that holds it.
        thing: what a plug-in of this package is called in messages ("kind", "provider", ...).
        name: the plug-in's name.

    Raises:
        UnknownNameError: there is none of that name; the message lists the known ones.
    """
    known = names(package)
    if name not in known:
        raise UnknownNameError(thing, name, known)
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")
