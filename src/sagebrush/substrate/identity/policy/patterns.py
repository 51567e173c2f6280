"""Lists of actions and resources, compiled to answer "is this one of them?" quickly."""

from __future__ import annotations

from collections.abc import Iterable

from sagebrush.substrate.identity.policy.templates import Context, Template, Wildcard, glob, literal, parse


class PatternList:
    """Alternatives in which ``*`` stands for any characters and ``?`` for one; a value matches any of them.

    The star crosses the colons and slashes of an ARN: AWS lets it do so at the end of a segment
    (reference_policies_elements_resource.html), which is where patterns have it.
    """

    __slots__ = ("_dynamic", "_exact", "_globs", "_prefixes", "everything", "keys")

    def __init__(self, templates: Iterable[Template]) -> None:
        exact: set[str] = set()
        prefixes: list[str] = []
        globs: list[Template] = []
        dynamic: list[Template] = []
        self.everything = False
        for template in templates:
            fixed = template.fixed
            if fixed is None:
                dynamic.append(template)
            elif fixed == (Wildcard.STAR,):
                self.everything = True
            elif all(isinstance(part, str) for part in fixed):
                exact.add(literal(fixed))
            elif len(fixed) == 2 and isinstance(fixed[0], str) and fixed[1] is Wildcard.STAR:
                prefixes.append(fixed[0])
            else:
                globs.append(template)
        self._exact = frozenset(exact)
        self._prefixes = tuple(prefixes)
        self._globs = tuple(glob(template.fixed) for template in globs if template.fixed is not None)
        self._dynamic = tuple(dynamic)
        #: Condition keys that the list depends on through policy variables.
        self.keys = tuple(variable.key for template in dynamic for variable in template.variables)

    @property
    def plain(self) -> bool:
        """Whether the answer depends on the value alone."""
        return not self._dynamic

    def matches(self, value: str, context: Context) -> bool:
        """Whether ``value`` is one of the list. A variable without a value makes its entry match nothing."""
        if self.everything or value in self._exact or value.startswith(self._prefixes):
            return True
        if any(pattern.match(value) for pattern in self._globs):
            return True
        for template in self._dynamic:
            resolved = template.resolve(context)
            if resolved is not None and glob(resolved).match(value):
                return True
        return False


def actions(texts: Iterable[str]) -> PatternList:
    """A list of actions. Compare lower-cased actions with it: prefix and name are case-insensitive."""
    return PatternList(parse(text.lower(), wildcards=True, variables=False) for text in texts)


def resources(texts: Iterable[str], *, variables: bool) -> PatternList:
    """A list of resource ARNs (case-sensitive)."""
    return PatternList(parse(text, wildcards=True, variables=variables) for text in texts)
